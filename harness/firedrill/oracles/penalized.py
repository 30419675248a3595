"""Every rollback costs the penalty, exactly once, and teaches the controller what it should.

Its own step bears the penalty, and so do the latest executed decisions on the seeds that it pruned, as far as the rollout holds
them; what they share adds up to the penalty to the last bit (`shared_out.py`).

The expectation is written from the definition of the advantage (Schulman et al. 2016, equation 16): a sum over the
future steps of the same life of discounted one-step errors. Nothing is taken from the code that learns.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from firedrill.events import BufferObserved, RowSeen
from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place, where
from firedrill.oracles.shared_out import debts, misshared
from tolaria.telemetry.governor_events import EnvironmentRetired, PenaltyDelivered, RolledBack
from tolaria.telemetry.run_events import StepFinished

# Relative and absolute: advantages are kept in single precision.
TOLERANCE = 1e-5

Row = tuple[int | None, int]
Shares = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Penalized(Oracle):
    """One penalty and one terminal row a rollback, a new life after it, and advantages that an independent sum agrees with.

    No row stands for a step that was never executed.

    A retirement ends an environment like a rollback does and owes the penalty too, once.
    """

    kind: ClassVar[str] = "penalized"

    def judge(self, evidence: Evidence) -> Finding:
        """First the deliveries, then the rows, then the advantages of every row."""
        owed = {where(event) for event in evidence.faulted if isinstance(event, RolledBack | EnvironmentRetired)}
        deliveries = of(evidence.faulted, PenaltyDelivered)
        buffers = of(evidence.faulted, BufferObserved)
        if not owed and not deliveries and not any(row.marker for buffer in buffers for row in buffer.rows):
            return self.unknown("no rollback and no penalty")
        counts = Counter(map(where, deliveries))
        for row in sorted({*owed, *counts}, key=lambda row: row[1]):
            if counts[row] != (row in owed):
                return self.failed(place(*row), f"{counts[row]} penalties delivered, {int(row in owed)} owed", "deliveries")
        for delivery in deliveries:
            if delivery.amount != evidence.claim.penalty:
                return self.failed(place(*where(delivery)), f"a penalty of {delivery.amount:g}, not {evidence.claim.penalty:g}", "amount")
            if math.fsum(amount for _, amount in delivery.shares) != delivery.amount:
                return self.failed(place(*where(delivery)), f"shares of {delivery.shares} are not {delivery.amount:g} in all", "shares")
        return self._rows(evidence, buffers, owed, {where(delivery): delivery.shares for delivery in deliveries})

    def _rows(self, evidence: Evidence, buffers: Sequence[BufferObserved], owed: set[Row], shares: Mapping[Row, Shares]) -> Finding:
        claim = evidence.claim
        own = {row: dict(told).get(row[1], math.nan) for row, told in shares.items()}
        finished = set(map(where, of(evidence.faulted, StepFinished)))
        for env in sorted({buffer.at.env for buffer in buffers}, key=str):
            rows = [row for buffer in buffers if buffer.at.env == env for row in buffer.rows]
            for step, fault in misplaced(rows, {step: own[e, step] for e, step in owed if e == env}):
                return self.failed(place(env, step), fault, "row")
            for step, times in Counter(row.step for row in rows).items():
                # A step that broke off was executed all the same, and died of it.
                if times > 1 or not {(env, step)} & (finished | owed):
                    return self.failed(place(env, step), f"{times} rows of a step that was executed once, or never", "phantom")
        for debt in debts(evidence.faulted, owed, buffers):
            if (wrong := misshared(debt, shares[debt.env, debt.step], claim.penalty, claim.penalty_attribution)) is not None:
                return self.failed(place(debt.env, debt.step), wrong, "shares")
        for buffer in buffers:
            if (buffer.gamma, buffer.gae_lambda) != (claim.gamma, claim.gae_lambda):
                return self.failed(place(*where(buffer)), f"learned with gamma {buffer.gamma}, lambda {buffer.gae_lambda}", "discount")
            expected = advantages(buffer.rows, claim.gamma, claim.gae_lambda)
            for row, advantage in zip(buffer.rows, expected, strict=True):
                at = place(buffer.at.env, row.step)
                if not math.isclose(row.advantage, advantage, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
                    return self.failed(at, f"the advantage is {row.advantage:.6g}, {advantage:.6g} was expected", "advantage")
                if row.ratio_error is not None and not row.ratio_error < TOLERANCE:
                    return self.failed(at, f"the log-probability moved by {row.ratio_error:.3g} before any update", "ratio")
        # A rollback in a rollout that was never completed has no row that anybody could look at.
        latest = {buffer.at.env: max(row.step for row in buffer.rows) for buffer in buffers if buffer.rows}
        unseen = sorted(step for env, step in owed if step > latest.get(env, -1))
        if unseen:
            return self.unknown(f"the buffer's row of step {unseen[0]} was never observed")
        return self.passed(f"{len(owed)} penalties, each delivered once to its own row")


def misplaced(rows: Sequence[RowSeen], owed: Mapping[int, float]) -> Iterator[tuple[int, str]]:
    """Steps of one environment whose rows are not as its rollbacks demand, with what is wrong. `rows` are those of all rollouts.

    `owed`: what the row of a rollback itself bears.
    """
    markers = Counter(row.step for row in rows if row.marker)
    for step in sorted({*owed, *markers}):
        seen = any(row.step >= step for row in rows)
        if seen and markers[step] != (step in owed):
            yield step, f"{markers[step]} terminal rows, {int(step in owed)} expected"
    for i, row in enumerate(rows):
        if not row.marker:
            continue
        if row.reward != owed[row.step]:
            yield row.step, f"the reward is {row.reward:g}, not {owed[row.step]:g}"
        if not row.terminated or row.truncated:
            yield row.step, "the row is not terminated" if not row.terminated else "the row is truncated"
        if row.bootstrap != 0.0:
            yield row.step, f"the row bootstraps {row.bootstrap:g}"
        after = rows[i + 1] if i + 1 < len(rows) else None
        if after is not None and (not after.fresh or after.life == row.life):
            yield after.step, f"life {after.life} goes on after the rollback of step {row.step}" if after.fresh else "memory is not fresh"


def advantages(rows: Sequence[RowSeen], gamma: float, gae_lambda: float) -> list[float]:
    """The advantage of every row as the discounted sum of one-step errors up to the end of its life or of the rollout."""
    last = len(rows) - 1
    ends = [row.terminated or row.truncated or i == last for i, row in enumerate(rows)]
    errors = []
    for i, row in enumerate(rows):
        follows = (0.0 if row.terminated else row.bootstrap) if ends[i] else rows[i + 1].value
        errors.append(row.reward + gamma * follows - row.value)
    found = []
    for i in range(len(rows)):
        end = next(j for j in range(i, len(rows)) if ends[j])
        found.append(math.fsum((gamma * gae_lambda) ** (j - i) * errors[j] for j in range(i, end + 1)))
    return found
