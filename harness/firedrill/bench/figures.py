"""What the snapshot engine comes to on a device: one number a question, beside what it is to reach.

Three times are kept apart: how long the host is kept, how long the device works on the training stream, and how long it takes
until a snapshot has arrived in host memory. A target is of a ratio within one run wherever that can be, because ratios alone mean
the same on another device.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firedrill.runner.aside import write_aside
from firedrill.runner.result import ForeignResults
from firedrill.runner.schema_version import SchemaVersion

SCHEMA = SchemaVersion("firedrill.device", 1, 0)

KEPT = "host is kept by a take"
WAITS = "waits for the device in a take"
FASTER = "host is kept by clones / by a take"
WORKED = "device works for a take / for a flat copy"
ARRIVING = "speed of the way to the host / of a pinned copy"
SLOWDOWN = "slowdown of training, a snapshot every {} steps"
PUBLISHED = "host is kept by a published take"
ARRIVED = "take until it has arrived"
RESTORED = "load_state_dict / restore from host memory"


@dataclass(frozen=True, slots=True)
class Target:
    """At most or at least so much, for models of `params_min` to `params_max` parameters."""

    bound: float
    at_most: bool
    params_min: float = 0.0
    params_max: float = float("inf")

    def speaks_of(self, params: int) -> bool:
        """Whether a model of this size is meant."""
        return self.params_min <= params <= self.params_max

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}"


# From what was measured before the engine was written; a run on a device confirms or replaces them.
TARGETS: dict[str, Target] = {
    KEPT: Target(25.0, at_most=True),
    WAITS: Target(0.0, at_most=True),
    FASTER: Target(10.0, at_most=False, params_max=10_000_000),
    WORKED: Target(1.3, at_most=True, params_min=100_000_000),
    ARRIVING: Target(0.9, at_most=False),
    SLOWDOWN.format(10): Target(2.0, at_most=True),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of `samples`, in a unit: µs, %, times, or none for a count."""

    name: str
    params: int
    value: float
    unit: str
    samples: tuple[float, ...] = ()

    @property
    def target(self) -> Target | None:
        """What it is to reach; None where nothing was promised."""
        target = TARGETS.get(self.name)
        return target if target is not None and target.speaks_of(self.params) else None

    @property
    def holds(self) -> bool | None:
        """Whether it reaches its target; None where it has none."""
        target = self.target
        if target is None:
            return None
        return self.value <= target.bound if target.at_most else self.value >= target.bound


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """All figures of one run, with where it ran."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    figures: tuple[Figure, ...]


def write_json(path: Path, record: DeviceRecord) -> None:
    """Write a record aside and put it in place, each figure with its target beside it."""
    figures = [asdict(one) | {"target": str(one.target or ""), "holds": one.holds} for one in record.figures]
    document = {"schema": str(SCHEMA)} | asdict(record) | {"figures": figures}
    write_aside(path, json.dumps(document, allow_nan=False, ensure_ascii=False, indent=1) + "\n")


def record_of(document: dict[str, Any], path: Path) -> DeviceRecord:  # JSON has no types.
    """The record of a file that has been parsed; raises `ForeignResults` for what `write_json` did not write."""
    if refusal := SCHEMA.refusal(document.get("schema")):
        raise ForeignResults(f"{path}: {refusal}")
    try:
        figures = tuple(
            Figure(kept["name"], kept["params"], kept["value"], kept["unit"], tuple(kept["samples"])) for kept in document["figures"]
        )
        return DeviceRecord(document["machine"], document["versions"], figures)
    except (KeyError, TypeError) as error:
        raise ForeignResults(f"{path}: damaged, or changed by hand: {type(error).__name__}: {error}") from error
