"""What a benchmark found, as it is written down: ratios first, because they alone mean the same on another machine."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firedrill.runner.aside import write_aside
from firedrill.runner.result import ForeignResults
from firedrill.runner.schema_version import SchemaVersion

SCHEMA = SchemaVersion("firedrill.bench", 1, 2)
CLOCK = "CPU seconds of the measuring thread"


@dataclass(frozen=True, slots=True)
class Case:
    """One operation at one size. Times are CPU seconds of one thread; `ratio_to_limit` is of medians, `speedup_vs`
    the median of the ratios of every round.

    `contended`: the wall clock ran well ahead of the thread in many samples, so others had the machine too. `seconds` are all samples.
    """

    op: str
    params: int
    tensors: int
    mode: str
    ratio_to_limit: float
    speedup_vs: Mapping[str, float]
    p10: float
    median: float
    mean: float
    p99: float
    wall_median: float
    samples: int
    contended: bool
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """All cases of one run, with where it ran."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    cases: tuple[Case, ...]


def write_json(path: Path, record: Record) -> None:
    """Write a record aside and put it in place."""
    text = json.dumps({"schema": str(SCHEMA), "clock": CLOCK} | asdict(record), allow_nan=False, indent=1)
    write_aside(path, text + "\n")


def record_of(document: dict[str, Any], path: Path) -> Record:  # JSON has no types.
    """The record of a file that has been parsed; raises `ForeignResults` for what `write_json` did not write."""
    if refusal := SCHEMA.refusal(document.get("schema")):
        raise ForeignResults(f"{path}: {refusal}")
    try:
        cases = tuple(Case(**kept | {"seconds": tuple(kept.get("seconds", ()))}) for kept in document["cases"])
        return Record(document["machine"], document["versions"], cases)
    except (KeyError, TypeError) as error:
        raise ForeignResults(f"{path}: damaged, or changed by hand: {type(error).__name__}: {error}") from error
