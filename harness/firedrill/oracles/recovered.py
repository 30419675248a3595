"""After a rollback the environment stays well."""

import math
from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, last_steps, of, place
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack
from tolaria.telemetry.run_events import RunFinished, StepFinished


@dataclass(frozen=True, slots=True)
class Recovered(Oracle):
    """No new collapse for `within` steps after each rollback, then a finite validation loss, and the run reached its end.

    A rollback closer than `within` to the end of the run is judged at the last step.
    """

    within: int
    kind: ClassVar[str] = "recovered"

    def judge(self, evidence: Evidence) -> Finding:
        """Judged at every rollback; an environment that was retired has not recovered."""
        rollbacks = of(evidence.faulted, RolledBack)
        retired = of(evidence.faulted, EnvironmentRetired)
        if retired:
            return self.failed(place(retired[0].at.env, retired[0].at.step), f"retired: {retired[0].reason}", "retired")
        if not rollbacks:
            return self.unknown("no rollback to recover from")
        if not of(evidence.faulted, RunFinished):
            return self.failed("", "the run did not reach its end", "unfinished")
        for rollback in rollbacks:
            finding = self._after(rollback, evidence)
            if finding is not None:
                return finding
        return self.passed(f"{len(rollbacks)} rollbacks, well within {self.within} steps after each")

    def _after(self, rollback: RolledBack, evidence: Evidence) -> Finding | None:
        env, step = rollback.at.env, rollback.at.step
        last = max(last_steps(evidence.faulted).values(), default=-1)
        due = min(step + self.within, last)
        if due <= step:
            return self.unknown(f"{place(env, step)}: no step follows the rollback")
        for collapse in of(evidence.faulted, Collapsed):
            if collapse.at.env == env and step < collapse.at.step <= due:
                return self.failed(place(env, collapse.at.step), f"collapsed again after the rollback of step {step}", "again")
        losses = [s.val_loss for s in of(evidence.faulted, StepFinished) if s.at.env == env and s.at.step == due]
        if not losses:
            return self.failed(place(env, due), f"the step after the rollback of step {step} was never finished", "unfinished")
        if not math.isfinite(losses[-1]):
            return self.failed(place(env, due), "validation loss is not finite", "not_finite")
        return None
