"""Ratios of times that were measured in turns, each with what it is to reach, and how they are written down."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from firedrill.bench.clock import Sample
from firedrill.runner.aside import write_aside
from firedrill.runner.result import ForeignResults
from firedrill.runner.schema_version import SchemaVersion

SCHEMA = SchemaVersion("firedrill.ratios", 1, 1)
RESAMPLES = 1000
# Where more than this part of the wall time was not this process's own, others had the machine.
OTHERS_MAX = 0.15


@dataclass(frozen=True, slots=True)
class Measured:
    """A ratio of sums of times with its 95 % bootstrap interval over the rounds, and its bound; `bound` None where nothing was promised.

    `seconds` are all times, by who was timed. `clock` is "cpu", "wall", or "device" for what a device worked. Where others had the
    machine, a wall clock says nothing. `params` is the size of the model, 0 where that is not what it is about.
    """

    name: str
    value: float
    low: float
    high: float
    bound: float | None
    at_most: bool
    clock: str
    contended: bool
    seconds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    params: int = 0

    @property
    def reached(self) -> bool | None:
        """Whether it is as it is to be; None where nothing was promised."""
        if self.bound is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def undecided(self) -> bool:
        """Whether a bound was missed where the clock could not be trusted."""
        return self.reached is False and self.contended and self.clock == "wall"

    @property
    def missed(self) -> bool:
        """Whether a bound was missed, and nobody else is to blame."""
        return self.reached is False and not self.undecided


def measured(
    name: str, above: Sequence[Sample], below: Sequence[Sample], bound: float | None, at_most: bool, clock: str = "cpu"
) -> Measured:  # fmt: skip
    """Of times taken in turns: the sum of those above over the sum of those below."""
    over, under = (np.array([one.wall if clock == "wall" else one.cpu for one in samples]) for samples in (above, below))
    drawn = np.random.default_rng(0).integers(len(over), size=(RESAMPLES, len(over)))
    low, high = np.quantile(over[drawn].sum(axis=1) / under[drawn].sum(axis=1), [0.025, 0.975])
    value = float(over.sum() / under.sum())
    seconds = {"above": tuple(map(float, over)), "below": tuple(map(float, under))}
    return Measured(name, value, float(low), float(high), bound, at_most, clock, others_had_the_machine(below), seconds)


def others_had_the_machine(samples: Sequence[Sample]) -> bool:
    """Whether a process that works alone and all the time had to wait for more than a small part of it."""
    wall = sum(one.wall for one in samples)
    return wall - sum(one.cpu for one in samples) > OTHERS_MAX * wall


def in_turns(contestants: Mapping[str, Callable[[], Sample]], rounds: int, after_round: Callable[[], object]) -> dict[str, list[Sample]]:
    """Samples by name, in one order and backwards in the next round, so that nobody always comes first."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            samples[name].append(contestants[name]())
        after_round()
    return samples


def write_json(path: Path, machine: Mapping[str, str], versions: Mapping[str, str], found: Sequence[Measured]) -> None:
    """Write what was found aside and put it in place."""
    ratios = [asdict(one) | {"reached": one.reached} for one in found]
    document = {"schema": str(SCHEMA), "machine": machine, "versions": versions, "ratios": ratios}
    write_aside(path, json.dumps(document, allow_nan=False, indent=1) + "\n")


def ratios_of(document: dict[str, Any], path: Path) -> tuple[Measured, ...]:  # JSON has no types.
    """The ratios of a file that has been parsed; raises `ForeignResults` for what `write_json` did not write."""
    if refusal := SCHEMA.refusal(document.get("schema")):
        raise ForeignResults(f"{path}: {refusal}")
    try:
        return tuple(map(_measured, document["ratios"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ForeignResults(f"{path}: damaged, or changed by hand: {type(error).__name__}: {error}") from error


def _measured(kept: dict[str, Any]) -> Measured:  # JSON has no types.
    # Written for other programs; it follows from the rest.
    known = {name: value for name, value in kept.items() if name != "reached"}
    return Measured(**known | {"seconds": {side: tuple(taken) for side, taken in kept["seconds"].items()}})
