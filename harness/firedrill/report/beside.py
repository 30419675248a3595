"""What a report shows beside its cells: comparisons, benchmarks, coverage and the envelope, each known by what its file says."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from firedrill.bench.figures import SCHEMA as DEVICE
from firedrill.bench.figures import record_of as device_record_of
from firedrill.bench.ratios import SCHEMA as RATIOS
from firedrill.bench.ratios import Measured, ratios_of
from firedrill.bench.record import SCHEMA as BENCH
from firedrill.bench.record import Case, record_of
from firedrill.compare.compared import Compared
from firedrill.compare.record import SCHEMA as COMPARISON
from firedrill.compare.record import comparison_of
from firedrill.report.coverage import SCHEMA as COVERAGE
from firedrill.report.figures import figures_map
from firedrill.report.maps import Map, coverage_map, envelope_map
from firedrill.runner.result import ForeignResults

READABLE = "a report shows what firedrill run (the first of all files), compare, bench and coverage and tolaria envelope write with --json"


@dataclass(frozen=True, slots=True)
class Beside:
    """All of it. `changes` None: nothing was compared. `facts` say where benchmarks were measured, and with what."""

    changes: tuple[Compared, ...] | None = None
    cases: tuple[Case, ...] = ()
    maps: tuple[Map, ...] = ()
    ratios: tuple[Measured, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


NOTHING = Beside()


def read_beside(paths: Iterable[Path]) -> Beside:
    """Read all files; raises `ForeignResults` for one that is none of these, and `OSError`."""
    found = NOTHING
    for path in paths:
        found = _with(found, path)
    return found


def schema_of(path: Path) -> str:
    """What a file says that it is, without its version; empty where it says nothing. Raises `ForeignResults` and `OSError`."""
    return _name(_document(path))


def _with(found: Beside, path: Path) -> Beside:
    document = _document(path)
    name = _name(document)
    try:
        if name == COMPARISON.name:
            return replace(found, changes=(*(found.changes or ()), *comparison_of(document, path)))
        if name == BENCH.name:
            return replace(found, cases=(*found.cases, *record_of(document, path).cases), facts=(*found.facts, *_facts(document, path)))
        if name == RATIOS.name:
            return replace(found, ratios=(*found.ratios, *ratios_of(document, path)), facts=(*found.facts, *_facts(document, path)))
        if name == DEVICE.name:
            shown = figures_map(device_record_of(document, path))
            return replace(found, maps=(*found.maps, shown), facts=(*found.facts, *_facts(document, path)))
        if document.get("schema") == COVERAGE:
            return replace(found, maps=(*found.maps, coverage_map(document)))
        # The envelope is written by tolaria, which knows no schemas of firedrill.
        if {"suite", "cells", "false_alarms"} <= document.keys():
            return replace(found, maps=(*found.maps, envelope_map(document)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ForeignResults(f"{path}: damaged, or changed by hand: {type(error).__name__}: {error}") from error
    said = f"its schema is {document['schema']!r}" if "schema" in document else "it names no schema"
    raise ForeignResults(f"{path}: {said}; {READABLE}")


def _document(path: Path) -> dict[str, Any]:  # JSON has no types.
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ForeignResults(f"{path}: not JSON, {error}") from error
    if not isinstance(document, dict):
        raise ForeignResults(f"{path}: it is a list or a value; {READABLE}")
    return document


def _name(document: dict[str, Any]) -> str:  # JSON has no types.
    return str(document.get("schema", "")).partition("/")[0]


def _facts(document: dict[str, Any], path: Path) -> list[tuple[str, str]]:  # JSON has no types.
    where = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    versions = ", ".join(f"{name} {value}" for name, value in document["versions"].items())
    return [(f"{path.name} was measured on", where), (f"{path.name} was measured with", versions)]
