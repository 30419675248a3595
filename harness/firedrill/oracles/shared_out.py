"""Who has to bear a death penalty beside the row that collapsed, told from the history alone.

The latest executed decision on each seed that the rollback pruned is a cause. Half of the penalty ("split") or all of it ("cause")
is for the causes; what would be for one that lies in another rollout or another life stays with the row that collapsed. Where one
seed was pruned its cause bears everything that is for causes; how several share is an ablation, which nobody can repeat afterwards.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from firedrill.events import BufferObserved, RowSeen
from firedrill.oracles.oracle import of
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.run_events import StepFinished

TOLERANCE = 1e-5
FOR_CAUSES: Mapping[str, float] = {"last": 0.0, "split": 0.5, "cause": 1.0}


@dataclass(frozen=True, slots=True)
class Debt:
    """A death: the steps of its causes, one a pruned seed that somebody decided on, and the rows that it may charge and others."""

    env: int | None
    step: int
    pruned: int
    causes: tuple[int, ...]
    rows: tuple[RowSeen, ...]

    @property
    def chargeable(self) -> frozenset[int]:
        """The steps before it whose rows are of the same life and stand in the same rollout."""
        life = next(row.life for row in self.rows if row.step == self.step)
        return frozenset(row.step for row in self.rows if row.step < self.step and row.life == life)


def debts(events: Sequence[Event], owed: Collection[tuple[int | None, int]], buffers: Sequence[BufferObserved]) -> Iterator[Debt]:
    """Every death whose row was observed."""
    rolled = {(event.at.env, event.at.step): event for event in of(events, RolledBack)}
    for buffer in buffers:
        env = buffer.at.env
        for row in buffer.rows:
            if (env, row.step) not in owed:
                continue
            since = max((step for other, step in owed if other == env and step < row.step), default=-1)
            pruned = rolled[env, row.step].pruned if (env, row.step) in rolled else ()
            latest = {
                step.slot: step.at.step
                for step in of(events, StepFinished)
                if step.at.env == env and since < step.at.step <= row.step and step.accepted and step.op != "wait"
            }
            causes = tuple(latest[slot] for slot in pruned if slot in latest)
            yield Debt(env, row.step, len(pruned), causes, buffer.rows)


def misshared(debt: Debt, told: Sequence[tuple[int, float]], penalty: float, attribution: str) -> str | None:
    """What is wrong with how a death was shared out, or None."""
    borne = {row.step: row.share for row in debt.rows if row.step in debt.chargeable and row.share != 0.0}
    if {step: amount for step, amount in told if step != debt.step} != borne:
        return f"rows bear {borne}, told was {tuple(told)}"
    due = set(debt.causes) & debt.chargeable
    if strangers := sorted(borne.keys() - due):
        return f"step {strangers[0]} bears {borne[strangers[0]]:g} and is no cause"
    if any(amount * penalty < 0.0 for amount in borne.values()):
        return f"somebody is paid for a collapse: {borne}"
    all_due = [cause in debt.chargeable for cause in debt.causes]
    for_causes = FOR_CAUSES[attribution] * penalty
    # With several seeds one of which nobody has to answer for, there is no more than a limit.
    whole = len(debt.causes) == debt.pruned > 0 and all(all_due)
    total = math.fsum(borne.values())
    if whole and not math.isclose(total, for_causes, rel_tol=TOLERANCE):
        return f"the causes bear {total:g}, not {for_causes:g}"
    if abs(total) > abs(for_causes) * (1.0 + TOLERANCE):
        return f"the causes bear {total:g}, more than {for_causes:g}"
    return _unlike_reward(debt.rows, borne)


def _unlike_reward(rows: Sequence[RowSeen], borne: Mapping[int, float]) -> str | None:
    """A share is beside the row's own reward and is not scaled, whatever the scale of rewards is."""
    plain = [row for row in rows if not row.marker and row.share == 0.0 and row.raw_reward != 0.0]
    scale = plain[0].reward / plain[0].raw_reward if plain else None
    for row in rows:
        if row.step not in borne or (scale is None and row.raw_reward != 0.0):
            continue
        expected = row.share + (0.0 if scale is None else scale * row.raw_reward)
        if not math.isclose(row.reward, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            return f"step {row.step} teaches {row.reward:g}, not {expected:g}"
    return None
