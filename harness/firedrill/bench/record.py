"""What a benchmark found, as it is written down: ratios first, because they alone mean the same on another machine."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

SCHEMA = "firedrill.bench/1"
CLOCK = "CPU seconds of the measuring thread"


@dataclass(frozen=True, slots=True)
class Case:
    """One operation at one size. Times are CPU seconds of one thread; `ratio_to_limit` is of medians, `speedup_vs` of means.

    `contended`: the wall clock ran well ahead of the thread in many samples, so others had the machine too.
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


@dataclass(frozen=True, slots=True)
class Record:
    """All cases of one run, with where it ran."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    cases: tuple[Case, ...]


def write_json(path: Path, record: Record) -> None:
    """Write a record aside and put it in place."""
    text = json.dumps({"schema": SCHEMA, "clock": CLOCK} | asdict(record), allow_nan=False, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text + "\n", encoding="utf-8")
    aside.replace(path)
