"""The same scenarios with other recovery mechanisms: scenarios x mechanisms -> verdict, every cell of it measured.

What a scenario file expects is a claim about the mechanism that it names. Here all are asked the same, whatever they are:
whether a fault struck, whether what was rolled back was what had been saved, and whether the run ends as well as the
undisturbed one of the same mechanism. Harm that the unguarded loop takes and this one does not was averted; harm that
neither takes is masked.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from firedrill.oracles.clean import Clean
from firedrill.oracles.oracle import Oracle
from firedrill.oracles.state_restored import StateRestored
from firedrill.oracles.unharmed import Unharmed
from firedrill.oracles.witnessed import Witnessed
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.scenario import Scenario
from firedrill.scenario.subject import MECHANISMS, Kind, MechanismName

SCHEMA = "firedrill.compare/1"
ASKED: tuple[Oracle, ...] = (Witnessed(), StateRestored(), Clean(), Unharmed())
# A mechanism that rolls back often is judged by where it ends, and by its own budget.
ROLLBACKS_MAX = 1000
# The loops that train the same network on the same data, so that a scenario of one is one of all.
ALIKE: tuple[Kind, ...] = ("plain_loop", "lightning", "transformers")
# These end as if nothing had been.
WELL = frozenset({Verdict.RECOVERED, Verdict.AVERTED, Verdict.MASKED})
NOTHING_SAID = frozenset({Verdict.NOT_RUN, Verdict.NOT_INJECTED, Verdict.HARNESS_ERROR, Verdict.CONTROL_FAILED})


@dataclass(frozen=True, slots=True)
class Column:
    """A mechanism around a kind of loop."""

    kind: Kind
    mechanism: MechanismName

    def __str__(self) -> str:
        return f"{self.kind}+{self.mechanism}"


class Ending(StrEnum):
    """What became of a struck training. A stop is worth more where it leaves weights that can be used."""

    WELL = "ends well"
    STOPPED = "stops, finite"
    STOPPED_BROKEN = "stops, NaN"
    HARMED = "does harm"
    UNKNOWN = "says nothing"


@dataclass(frozen=True, slots=True)
class Measured:
    """One cell of the table. `named`: the mechanism is the one of the scenario file; `token` runs it again.

    `final_loss` is that of the validation after the last step, None where it is not finite.
    """

    scenario: str
    because: str
    column: Column
    verdict: Verdict
    reason: str
    final_loss: float | None
    seconds: float
    named: bool
    as_claimed: bool
    token: str

    @property
    def ending(self) -> Ending:
        """The verdict as a reader of many of them needs it."""
        if self.verdict is Verdict.FAIL_STOP:
            return Ending.STOPPED_BROKEN if self.final_loss is None else Ending.STOPPED
        return Ending.WELL if self.verdict in WELL else Ending.UNKNOWN if self.verdict in NOTHING_SAID else Ending.HARMED


def columns_of(scenario: Scenario) -> list[Column]:
    """What can be put around the loop of a scenario; nothing around tolaria's own training."""
    subject = scenario.subject
    if not subject.is_loop:
        return []
    kinds: tuple[Kind, ...] = ALIKE if subject.kind in ALIKE and not subject.amp else (subject.kind,)
    return [Column(kind, mechanism) for kind in kinds for mechanism in MECHANISMS[kind]]


class Comparison:
    """The cells of a comparison, and what became of them."""

    def __init__(self, scenarios: Iterable[Scenario]) -> None:
        self._scenarios = [(scenario, column) for scenario in scenarios for column in columns_of(scenario)]
        self._of_cell = {cell_of(scenario, column).id: (scenario, column) for scenario, column in self._scenarios}

    def __len__(self) -> int:
        return len(self._of_cell)

    def cells(self) -> Iterator[Cell]:
        """Every cell; a kind of loop with all its scenarios, then the next."""
        return (cell_of(scenario, column) for kind in MECHANISMS for scenario, column in self._scenarios if column.kind == kind)

    def measured(self, results: Sequence[CellResult]) -> list[Measured]:
        """What was finished, in the order of the scenarios."""
        by_id = {result.id: result for result in results}
        return [self._measured(by_id[name], *pair) for name, pair in self._of_cell.items() if name in by_id]

    def _measured(self, result: CellResult, scenario: Scenario, column: Column) -> Measured:
        named = column == Column(scenario.subject.kind, scenario.subject.guard)
        claimed = result.verdict.value in scenario.verdicts
        final = next((curve.val_losses[-1] for curve in result.timeline.curves if curve.val_losses), None)
        return Measured(
            scenario=scenario.id,
            because=scenario.because,
            column=column,
            verdict=result.verdict,
            reason=result.reason,
            final_loss=final,
            seconds=result.seconds,
            named=named,
            as_claimed=claimed,
            token=result.token,
        )


def cell_of(scenario: Scenario, column: Column) -> Cell:
    """A scenario on the CPU with another mechanism, asked what all are asked."""
    first = cells(scenario)[0]
    subject = replace(scenario.subject, kind=column.kind, mechanism=column.mechanism)
    budget = replace(scenario.budget, rollbacks=ROLLBACKS_MAX)
    asked = replace(scenario, subject=subject, oracles=ASKED, budget=budget, known_gap=None)
    return Cell(f"{scenario.id}[cpu,seed={first.seed},{column}]", asked, "cpu", first.seed)


def contradicted(measured: Iterable[Measured]) -> list[Measured]:
    """Where the mechanism that a file names does not show what the file claims."""
    return [one for one in measured if one.named and not one.as_claimed and one.verdict is not Verdict.NOT_RUN]


def as_json(measured: Sequence[Measured]) -> str:
    """Every cell, one after the other."""
    rows = [asdict(one) | {"column": str(one.column), "ending": one.ending} for one in measured]
    return json.dumps({"schema": SCHEMA, "cells": rows}, indent=1, allow_nan=False) + "\n"
