"""Each fault struck as often as declared, and changed something."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.events import FaultStruck
from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place


@dataclass(frozen=True, slots=True)
class Witnessed(Oracle):
    """Each at the seam that its scenario names. Without this, every other answer is about a run that nobody disturbed."""

    kind: ClassVar[str] = "witnessed"

    def judge(self, evidence: Evidence) -> Finding:
        """A strike that left the bytes as they were is no strike."""
        strikes = of(evidence.faulted, FaultStruck)
        if not strikes:
            return self.unknown("no fault struck")
        for strike in strikes:
            if strike.digest_before == strike.digest_after:
                return self.failed(place(strike.at.env, strike.at.step), f"{strike.kind} changed nothing in {strike.place}", "no_change")
            meant = evidence.claim.fault_phases[strike.fault] if evidence.claim.fault_phases else strike.phase
            if strike.phase != meant:
                return self.failed(place(strike.at.env, strike.at.step), f"{strike.kind} struck at {strike.phase}, not at {meant}", "phase")
        for fault, declared in enumerate(evidence.claim.declared_strikes):
            count = sum(strike.fault == fault for strike in strikes)
            if count != declared and not (declared is None and count):
                expected = "at least once" if declared is None else f"{declared} times"
                return self.failed(f"fault {fault}", f"{evidence.claim.fault_kinds[fault]} struck {count} times, not {expected}", "count")
        return self.passed(f"{len(strikes)} strikes, each changed something")
