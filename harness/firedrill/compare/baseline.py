"""What was accepted: the facts of a run, kept in the repository, with who said why. One file for each class of machine."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firedrill.compare.facts import CellFacts, Facts
from firedrill.runner.aside import write_aside
from firedrill.runner.result import ForeignResults
from firedrill.runner.schema_version import SchemaVersion

SCHEMA = SchemaVersion("firedrill.baseline", 1, 0)
FILE_NAME = "baseline.json"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """That a change was meant: why, on which day, of which commit, and what it changed, counted."""

    reason: str
    date: str
    commit: str
    changes: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """The facts that stand, and all acceptances, the newest first."""

    facts: Facts
    accepted: tuple[Acceptance, ...]


def baseline_path(folder: Path, machine_class: str) -> Path:
    """Where the baseline of a class of machine is kept."""
    return folder / machine_class / FILE_NAME


def read_baseline(path: Path) -> Baseline:
    """The baseline of a file; raises `ForeignResults` for anything else, and `OSError` where there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ForeignResults(f"{path}: not JSON, {error}") from error
    if refusal := SCHEMA.refusal(document.get("schema") if isinstance(document, dict) else None):
        raise ForeignResults(f"{path}: {refusal}")
    try:
        return _baseline(document)
    except (KeyError, TypeError) as error:
        raise ForeignResults(f"{path}: damaged, or changed by hand: {type(error).__name__}: {error}") from error


def write_baseline(path: Path, facts: Facts, accepted: Sequence[Acceptance]) -> None:
    """Write aside and put in place; a line for each cell, so that a difference of two versions can be read."""
    head = {
        "schema": str(SCHEMA),
        "machine_class": facts.machine_class,
        "commit": facts.commit,
        "versions": dict(facts.versions),
        "accepted": [asdict(acceptance) for acceptance in accepted],
    }
    rows = [f"  {json.dumps(name)}: {json.dumps(_kept(cell), allow_nan=False)}" for name, cell in sorted(facts.cells.items())]
    text = json.dumps(head, indent=1).removesuffix("\n}") + ',\n "cells": {\n' + ",\n".join(rows) + "\n }\n}\n"
    write_aside(path, text)


def _kept(cell: CellFacts) -> dict[str, Any]:  # JSON has no types.
    kept = asdict(cell)
    del kept["details"]
    return kept


def _baseline(document: dict[str, Any]) -> Baseline:  # JSON has no types.
    cells = {name: CellFacts(**kept) for name, kept in document["cells"].items()}
    facts = Facts(document["machine_class"], document["commit"], document["versions"], cells)
    return Baseline(facts, tuple(Acceptance(**kept) for kept in document["accepted"]))
