"""What a report shows beside its cells: comparisons, benchmarks, coverage and the envelope, each known by what its file says."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from firedrill.bench.figures import SCHEMA as DEVICE
from firedrill.bench.figures import record_of as device_record_of
from firedrill.bench.record import SCHEMA as BENCH
from firedrill.bench.record import Case, record_of
from firedrill.compare.compared import Compared
from firedrill.compare.record import SCHEMA as COMPARISON
from firedrill.compare.record import comparison_of
from firedrill.report.coverage import SCHEMA as COVERAGE
from firedrill.report.figures import figures_map
from firedrill.report.maps import Map, coverage_map, envelope_map
from firedrill.runner.result import ForeignResults


@dataclass(frozen=True, slots=True)
class Beside:
    """All of it. `changes` None: nothing was compared."""

    changes: tuple[Compared, ...] | None = None
    cases: tuple[Case, ...] = ()
    maps: tuple[Map, ...] = ()


NOTHING = Beside()


def read_beside(paths: Iterable[Path]) -> Beside:
    """Read all files; raises `ForeignResults` for one that is none of these, and `OSError`."""
    found = NOTHING
    for path in paths:
        found = _with(found, path)
    return found


def _with(found: Beside, path: Path) -> Beside:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ForeignResults(f"{path}: not JSON, {error}") from error
    if not isinstance(document, dict):
        raise ForeignResults(f"{path}: no comparison, benchmark, coverage or envelope")
    name = str(document.get("schema", "")).partition("/")[0]
    try:
        if name == COMPARISON.name:
            return Beside((*(found.changes or ()), *comparison_of(document, path)), found.cases, found.maps)
        if name == BENCH.name:
            return Beside(found.changes, (*found.cases, *record_of(document, path).cases), found.maps)
        if name == DEVICE.name:
            return Beside(found.changes, found.cases, (*found.maps, figures_map(device_record_of(document, path))))
        if document.get("schema") == COVERAGE:
            return Beside(found.changes, found.cases, (*found.maps, coverage_map(document)))
        # The envelope is written by tolaria, which knows no schemas of firedrill.
        if {"suite", "cells", "false_alarms"} <= document.keys():
            return Beside(found.changes, found.cases, (*found.maps, envelope_map(document)))
    except (KeyError, TypeError, AttributeError) as error:
        raise ForeignResults(f"{path}: damaged, or changed by hand: {type(error).__name__}: {error}") from error
    raise ForeignResults(f"{path}: no comparison, benchmark, coverage or envelope")
