"""The governor noticed, soon enough and for the right reason."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.events import FaultStruck
from firedrill.oracles.oracle import Evidence, Finding, Oracle, first_strikes, of, place
from tolaria.telemetry.governor_events import Collapsed

# The verdict LATE reads this key: noticed, but after the delay that was allowed.
LATE = "late"


@dataclass(frozen=True, slots=True)
class Detected(Oracle):
    """Every struck environment collapsed at most `within` steps after the strike; 0 is the very step of the strike.

    Where several faults strike one environment, the delay counts from the first strike of the fault that began last before the collapse.
    """

    within: int
    cause: str | None = None
    kind: ClassVar[str] = "detected"

    def judge(self, evidence: Evidence) -> Finding:
        """The first collapse at or after the first strike decides."""
        strikes = first_strikes(evidence.faulted, evidence.claim)
        if not strikes:
            return self.unknown("no fault struck")
        delays, batches = [], []
        for env, faults in sorted(strikes.items()):
            begun = min(faults.values())
            collapse = next((c for c in of(evidence.faulted, Collapsed) if c.at.env == env and c.at.step >= begun), None)
            due = max(faults.values()) + self.within
            if collapse is None:
                return self.failed(f"env {env}", f"no collapse by step {due}", "missing")
            begun = max(step for step in faults.values() if step <= collapse.at.step)
            delay = collapse.at.step - begun
            begin = next(s.at.batch for s in of(evidence.faulted, FaultStruck) if s.at.step == begun and s.at.env in {env, None})
            # What strikes between batches strikes before or after all of them, and then the step counts as a whole.
            batches.append((delay + 1) * evidence.claim.batches_per_step - (begin + 1 if begin is not None else 0))
            if delay > self.within:
                return self.failed(place(env, collapse.at.step), f"noticed {delay} steps after the strike, {self.within} are allowed", LATE)
            if self.cause is not None and collapse.cause != self.cause:
                return self.failed(place(env, collapse.at.step), f"the cause is {collapse.cause}, not {self.cause}", "cause")
            delays.append(delay)
        return self.passed(f"noticed {max(delays)} steps ({max(batches)} batches) after the strike at the latest")
