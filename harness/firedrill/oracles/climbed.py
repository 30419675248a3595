"""The ladder of responses was climbed as far as the trouble called for, and no further."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place, where
from tolaria.telemetry.governor_events import RolledBack, Rung

ORDER = tuple(Rung)


@dataclass(frozen=True, slots=True)
class Climbed(Oracle):
    """In every struck environment `to` is the highest rung that a rollback told of, after `rollbacks` rollbacks in all."""

    to: Rung
    rollbacks: int
    kind: ClassVar[str] = "climbed"

    def judge(self, evidence: Evidence) -> Finding:
        """Judged by what the rollbacks say of themselves; that they did so is for others to judge."""
        if not of(evidence.faulted, RolledBack):
            return self.unknown("no rollback")
        for env in sorted(evidence.claim.struck_envs):
            told = [event for event in of(evidence.faulted, RolledBack) if event.at.env == env]
            if len(told) != self.rollbacks:
                return self.failed(f"env {env}", f"{len(told)} rollbacks, not {self.rollbacks}", "count")
            highest = max(told, key=lambda event: ORDER.index(event.remedy.rung))
            if highest.remedy.rung is not self.to:
                return self.failed(place(*where(highest)), f"the highest rung is {highest.remedy.rung}, not {self.to}", "rung")
        return self.passed(f"up to {self.to} in {self.rollbacks} rollbacks")
