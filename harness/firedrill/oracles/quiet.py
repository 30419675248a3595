"""No alarm without a fault."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place
from tolaria.telemetry.governor_events import Collapsed, RolledBack, Suspected
from tolaria.telemetry.run_events import StepFinished


@dataclass(frozen=True, slots=True)
class Quiet(Oracle):
    """The control run has neither suspicion, collapse nor rollback; the bound on the rate follows the rule of three."""

    kind: ClassVar[str] = "quiet"

    def judge(self, evidence: Evidence) -> Finding:
        """Zero alarms in n steps leave at most 3/n a step, with 95 % confidence (Hanley and Lippman-Hand 1983)."""
        steps = len(of(evidence.control, StepFinished))
        if not steps:
            return self.unknown("the control run has no steps")
        for event in evidence.control:
            if isinstance(event, Suspected | Collapsed | RolledBack):
                return self.failed(place(event.at.env, event.at.step), f"{type(event).__name__} in the control run", "alarm")
        return self.passed(f"no alarm in {steps} steps: at most {min(1.0, 3 / steps):.2g} a step (95 %)")
