"""Every collapse is followed by one complete account of its rollback."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place, where
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack
from tolaria.telemetry.run_events import RunAborted


@dataclass(frozen=True, slots=True)
class Told(Oracle):
    """Exactly one `RolledBack` a collapse, and every number in it is finite or absent.

    The collapse that retires an environment, or that ends the run because nothing could be restored, has no rollback to tell of.
    """

    kind: ClassVar[str] = "told"

    def judge(self, evidence: Evidence) -> Finding:
        """Counts by environment and step, then reads every account."""
        collapses = Counter(map(where, of(evidence.faulted, Collapsed)))
        rollbacks = Counter(map(where, of(evidence.faulted, RolledBack)))
        if not collapses and not rollbacks:
            return self.unknown("no collapse and no rollback")
        excused = set(map(where, of(evidence.faulted, EnvironmentRetired)))
        aborted = bool(of(evidence.faulted, RunAborted))
        excused |= set(list(collapses)[-1:]) if aborted else set()
        for row in sorted({*collapses, *rollbacks}, key=lambda row: row[1]):
            missing = collapses[row] - rollbacks[row]
            if missing < 0 or (missing > 0 and row not in excused):
                return self.failed(place(*row), f"{collapses[row]} collapses and {rollbacks[row]} rollbacks told", "count")
        for rollback in of(evidence.faulted, RolledBack):
            gap = incomplete(rollback)
            if gap:
                return self.failed(place(*where(rollback)), gap, "incomplete")
        return self.passed(f"{rollbacks.total()} rollbacks told in full")


def incomplete(rollback: RolledBack) -> str:
    """What an account lacks, or nothing."""
    decision = rollback.decision
    numbers = {"loss": decision.loss, "threshold": decision.threshold, "mean": decision.mean, "spread": decision.spread}
    numbers |= {f"recent[{i}]": value for i, value in enumerate(decision.recent)}
    for name, value in numbers.items():
        if value is not None and not math.isfinite(value):
            return f"{name} is {value}, which should be None"
    if not decision.cause:
        return "no cause"
    if decision.streak < 0:
        return f"a streak of {decision.streak}"
    if not rollback.snapshot_ages or min(rollback.snapshot_ages) < 0:
        return f"snapshot ages are {rollback.snapshot_ages}"
    return ""
