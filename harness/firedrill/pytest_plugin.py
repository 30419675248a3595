"""Runs scenarios under pytest: `pytest scenarios` makes every cell of every scenario one test.

The plugin is loaded in every pytest run of an environment that firedrill is installed in. It therefore imports nothing
heavy before the first scenario is found, and looks only at YAML files that are scenarios by their words.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr, TracebackStyle

    from firedrill.runner.result import CellResult
    from firedrill.scenario.cell import Cell

SUFFIXES = {".yaml", ".yml"}
# A file is taken for a scenario if it names our schema or has two of the words that scenarios begin lines with.
SCHEMA = re.compile(r"\$schema=\S*scenario-v\d")
KEY = re.compile(r"^(because|subject|faults|expect|extends|matrix|budget)\s*:", re.MULTILINE)


class ScenarioRefused(Exception):
    """A scenario file has mistakes; the message is their rendering."""


class CellFailed(Exception):
    """A cell did not end as expected; the message tells how, and how to run it again."""


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take scenarios that are named on the command line or lie below a directory named `scenarios`."""
    if file_path.suffix not in SUFFIXES:
        return None
    wanted = parent.session.isinitpath(file_path) or "scenarios" in file_path.parent.parts
    if not wanted or not is_scenario(file_path.read_text(encoding="utf-8", errors="replace")):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


def is_scenario(text: str) -> bool:
    """Whether a YAML text means to be a scenario, right or wrong; other tools keep YAML in such directories too."""
    return SCHEMA.search(text) is not None or len(set(KEY.findall(text))) > 1


class ScenarioFile(pytest.File):
    """One scenario file, whose tests are its cells."""

    def collect(self) -> Iterator["CellItem"]:
        from firedrill.scenario.cell import cells
        from firedrill.scenario.load import load_all

        scenarios, problems = load_all([self.path])
        if problems:
            raise ScenarioRefused("\n\n".join(problem.render() for problem in problems))
        for scenario in scenarios:
            for cell in cells(scenario):
                yield CellItem.from_parent(self, name=cell.id, cell=cell)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: "TracebackStyle | None" = None) -> "str | TerminalRepr":
        return str(excinfo.value) if isinstance(excinfo.value, ScenarioRefused) else super().repr_failure(excinfo)


class CellItem(pytest.Item):
    """One cell: passes where its verdict is the expected one, is skipped where it cannot run here, xfails on a known gap."""

    def __init__(self, *, cell: "Cell", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.cell = cell
        self.extra_keyword_matches.update(cell.scenario.tags)

    def runtest(self) -> None:
        from firedrill.report.wording import Outcome, known_gap, outcome
        from firedrill.runner.run import run_cells

        ended: list[CellResult] = []
        run_cells([self.cell], jobs=1, on_result=ended.append)
        (result,) = ended
        match outcome(result):
            case Outcome.NOT_RUN:
                pytest.skip(result.reason)
            case Outcome.KNOWN_GAP:
                pytest.xfail(known_gap(result))
            case Outcome.UNEXPECTED:
                raise CellFailed(failure_text(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: "TracebackStyle | None" = None) -> "str | TerminalRepr":
        return str(excinfo.value) if isinstance(excinfo.value, CellFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name


def failure_text(result: "CellResult") -> str:
    """What went wrong with a cell, in a few lines that end with the command to see it again."""
    from firedrill.report.wording import blamed, contrast, known_gap, reproduce

    lines = [contrast(result), f"reason:   {result.reason}"]
    if result.known_gap:
        lines.append(f"gap:      {known_gap(result)}")
    for finding in blamed(result):
        parts = (finding.oracle, finding.place, finding.detail)
        lines.append(f"{finding.answer + ':':<9} {': '.join(part for part in parts if part)}")
    lines += [f"because:  {result.because}", f"again:    {reproduce(result)}"]
    return "\n".join(lines)
