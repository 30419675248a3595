"""The same configuration and seed give the same run."""

import math
from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, first_difference, of, place, where
from tolaria.telemetry.run_events import StepFinished


@dataclass(frozen=True, slots=True)
class Deterministic(Oracle):
    """Two control runs agree byte for byte; or their losses do within `tolerance`, relative, where a device promises no more.

    Where they do not agree to the byte, oracles that look for differences from the control run answer UNKNOWN.
    """

    tolerance: float = 0.0
    kind: ClassVar[str] = "deterministic"

    def judge(self, evidence: Evidence) -> Finding:
        """What the losses differed by at most is told with the answer, as the certificate of this run."""
        if not evidence.again or not evidence.control:
            return self.unknown("the control run was made once only")
        difference = first_difference(evidence.control, evidence.again)
        if difference is None:
            return self.passed(f"{len(evidence.control)} events byte-equal in two control runs")
        at = place(*where(difference[0]))
        spread = _spread(evidence)
        if self.tolerance and spread is not None and spread <= self.tolerance:
            return self.passed(f"not byte-equal from {at} on; all losses agree within {spread:.3g}")
        apart = "their steps differ" if spread is None else f"losses differ by {spread:.3g}, {self.tolerance:g} is allowed"
        return self.failed(at, f"{difference[1]} in two control runs; {apart}", "differs")


def _spread(evidence: Evidence) -> float | None:
    """The largest relative difference of any loss; None where the runs have not the same steps."""
    one, other = of(evidence.control, StepFinished), of(evidence.again or (), StepFinished)
    if list(map(where, one)) != list(map(where, other)):
        return None
    pairs = [(a, b) for x, y in zip(one, other, strict=True) for a, b in ((x.val_loss, y.val_loss), (x.train_loss, y.train_loss))]
    return max((_apart(a, b) for a, b in pairs), default=None)


def _apart(one: float, other: float) -> float:
    if not (math.isfinite(one) and math.isfinite(other)):
        return 0.0 if repr(one) == repr(other) else math.inf
    return abs(one - other) / max(abs(one), abs(other), 1e-12)
