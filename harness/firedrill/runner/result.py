"""What is kept of a cell, how a run of cells is written down, and what it means for the exit code."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firedrill.oracles.oracle import Answer, Finding
from firedrill.runner.aside import write_aside
from firedrill.runner.exposure import Exposure, Reply, Topology
from firedrill.runner.machine import commit, machine_class
from firedrill.runner.schema_version import SchemaVersion
from firedrill.runner.timeline import Curve, Mark, Timeline
from firedrill.runner.verdict import Verdict

SCHEMA = SchemaVersion("firedrill.run", 1, 1)

PASSED = 0
EXPECTATION_FAILED = 1
HARNESS_BROKEN = 3
NOTHING_RAN = 4


class ForeignResults(ValueError):
    """The file is not a run of firedrill in a schema that this version reads."""


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell, judged. `known_gap` is the reason why it is expected to be red for now, and `gap_verdict` the verdict that it is red by;
    `history_digest` is of the faulted history.

    `exposures` say what faults met, `marks` which branches of the governor were taken, and `token` replays the cell.
    """

    id: str
    scenario: str
    file: str
    because: str
    tags: tuple[str, ...]
    device: str
    seed: int
    verdict: Verdict
    expected: tuple[Verdict, ...]
    passed: bool
    reason: str
    findings: tuple[Finding, ...]
    seconds: float
    rollbacks: int
    penalties: int
    known_gap: str | None = None
    gap_verdict: Verdict | None = None
    timeline: Timeline = Timeline()
    versions: tuple[tuple[str, str], ...] = ()
    history_digest: str = ""
    exposures: tuple[Exposure, ...] = ()
    marks: tuple[str, ...] = ()
    token: str = ""

    @property
    def counts_as_failed(self) -> bool:
        """Red, or a known gap that has changed: closed, or red in another way. A cell that was not run is neither."""
        if self.verdict is Verdict.NOT_RUN:
            return False
        return not self.passed if self.known_gap is None else self.passed or self.verdict is not self.gap_verdict


@dataclass(frozen=True, slots=True)
class Run:
    """A file of results: the cells, with when and where they ran. It is not `complete` where somebody interrupted or time ran out.

    `machine_class` and `commit` are empty where they are not known.
    """

    created: str
    machine: str
    versions: dict[str, str]
    cells: tuple[CellResult, ...]
    complete: bool = True
    machine_class: str = ""
    commit: str = ""


def exit_code(results: Sequence[CellResult]) -> int:
    """A broken harness outweighs a failed expectation, because then the failure is not to be trusted either."""
    if any(result.verdict is Verdict.HARNESS_ERROR for result in results):
        return HARNESS_BROKEN
    if any(result.counts_as_failed for result in results):
        return EXPECTATION_FAILED
    if all(result.verdict is Verdict.NOT_RUN for result in results):
        return NOTHING_RAN
    return PASSED


def write_json(path: Path, results: Sequence[CellResult], complete: bool = True) -> None:
    """Write a run aside and put it in place; strict JSON, so a NaN that got this far is an error."""
    versions = {"python": platform.python_version()}
    for result in results:
        versions |= dict(result.versions)
    document = {
        "schema": str(SCHEMA),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "machine_class": machine_class(),
        "commit": commit(),
        "versions": versions,
        "complete": complete,
        "cells": [asdict(result) for result in results],
    }
    text = json.dumps(document, allow_nan=False, indent=1)
    write_aside(path, text + "\n")


def read_json(path: Path) -> Run:
    """The run that `write_json` wrote; raises `ForeignResults` for anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ForeignResults(f"{path}: not JSON, {error}") from error
    if refusal := SCHEMA.refusal(document.get("schema") if isinstance(document, dict) else None):
        raise ForeignResults(f"{path}: {refusal}")
    try:
        cells = tuple(_cell(cell) for cell in document["cells"])
        more = (document.get("complete", True), document.get("machine_class", ""), document.get("commit", ""))
        return Run(document["created"], document["machine"], document["versions"], cells, *more)
    except (KeyError, TypeError, ValueError) as error:
        raise ForeignResults(f"{path}: damaged, or changed by hand: {type(error).__name__}: {error}") from error


def _cell(kept: dict[str, Any]) -> CellResult:  # JSON has no types.
    fields = kept | {
        "tags": tuple(kept["tags"]),
        "verdict": Verdict(kept["verdict"]),
        "expected": tuple(Verdict(expected) for expected in kept["expected"]),
        "gap_verdict": Verdict(kept["gap_verdict"]) if kept.get("gap_verdict") else None,
        "findings": tuple(Finding(**finding | {"answer": Answer(finding["answer"])}) for finding in kept["findings"]),
        "timeline": _timeline(kept["timeline"]),
        "exposures": tuple(map(_exposure, kept.get("exposures", ()))),
        "marks": tuple(kept.get("marks", ())),
        "versions": tuple((name, version) for name, version in kept["versions"]),
    }
    return CellResult(**fields)


def _exposure(kept: dict[str, Any]) -> Exposure:  # JSON has no types.
    return Exposure(**kept | {"topology": Topology(kept["topology"]), "reply": Reply(kept["reply"])})


def _timeline(kept: dict[str, Any]) -> Timeline:  # JSON has no types.
    curves = tuple(Curve(curve["env"], tuple(curve["steps"]), tuple(curve["val_losses"])) for curve in kept["curves"])
    return Timeline(curves, tuple(Mark(**mark) for mark in kept["marks"]))
