"""A run as JUnit XML, which every system that shows tests can read: a suite for each area, a case for each cell."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from firedrill.report.wording import Outcome, blamed, by_area, contrast, counted, known_gap, outcome, reproduce
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict

# What XML 1.0 cannot hold, not even escaped.
UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(results: Sequence[CellResult], created: str) -> str:
    """The document as text. A known gap and a cell that was not run are skipped: neither green nor failed."""
    root = ET.Element("testsuites", {"name": "firedrill"} | _tally(results))
    for area, group in by_area(results):
        suite = ET.SubElement(root, "testsuite", {"name": _spoken(area), "timestamp": created} | _tally(group))
        for result in group:
            _add(suite, result)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _tally(results: Sequence[CellResult]) -> dict[str, str]:
    tally = counted(results)
    errors = sum(result.verdict is Verdict.HARNESS_ERROR for result in results)
    return {
        "tests": str(len(results)),
        "failures": str(tally[Outcome.UNEXPECTED] - errors),
        "errors": str(errors),
        "skipped": str(tally[Outcome.KNOWN_GAP] + tally[Outcome.NOT_RUN]),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _add(suite: ET.Element, result: CellResult) -> None:
    where = {
        "name": _spoken(result.id),
        "classname": _spoken(result.scenario),
        "file": _spoken(result.file),
        "time": f"{result.seconds:.3f}",
    }
    case = ET.SubElement(suite, "testcase", where)
    end = outcome(result)
    if end is Outcome.UNEXPECTED:
        kind = "error" if result.verdict is Verdict.HARNESS_ERROR else "failure"
        told = ET.SubElement(case, kind, {"type": result.verdict.value, "message": _spoken(contrast(result))})
        lines = [result.reason, *(f"{finding.oracle}: {finding.place}: {finding.detail}" for finding in blamed(result)), reproduce(result)]
        told.text = _spoken("\n".join(lines))
    elif end in {Outcome.KNOWN_GAP, Outcome.NOT_RUN}:
        ET.SubElement(case, "skipped", {"message": _spoken(known_gap(result) if end is Outcome.KNOWN_GAP else result.reason)})


def _spoken(text: str) -> str:
    return UNSPEAKABLE.sub("�", text)
