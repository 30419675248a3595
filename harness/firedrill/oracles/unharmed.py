"""The struck environments end as if nothing had struck them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, first_strikes, of
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import EnvironmentRetired
from tolaria.telemetry.run_events import RunFinished, StepFinished

# A final loss is worse than the control's when it is so by both measures: a part of the control's loss, and of the loss of a guess.
WORSE_BY = 0.2
WORSE_BY_CHANCE = 0.1


@dataclass(frozen=True, slots=True)
class Unharmed(Oracle):
    """Every struck environment ends with a loss no worse than that of the undisturbed run, whatever has kept the harm from it."""

    kind: ClassVar[str] = "unharmed"

    def judge(self, evidence: Evidence) -> Finding:
        """A run that did not reach its end, or stopped on purpose, says nothing of where it would have come to."""
        strikes = first_strikes(evidence.faulted, evidence.claim)
        if not strikes or not of(evidence.faulted, RunFinished) or of(evidence.faulted, EnvironmentRetired):
            return self.unknown("no environment was struck and trained to the end")
        for env in sorted(strikes):
            loss = damage(evidence.faulted, evidence, env)
            if loss:
                return self.failed(f"env {env}", loss, "worse")
        return self.passed(f"{len(strikes)} struck environments end as well as undisturbed")


def last_step(events: Sequence[Event], env: int) -> StepFinished | None:
    """The last step that an environment finished."""
    return next((event for event in reversed(of(events, StepFinished)) if event.at.env == env), None)


def damage(events: Sequence[Event], evidence: Evidence, env: int) -> str:
    """How much worse than the control run an environment ended, or nothing. A loss that is not finite is damage, and so is an early end."""
    ended, control = last_step(events, env), last_step(evidence.control, env)
    if ended is None or control is None:
        return ""
    if ended.at.step < control.at.step:
        return f"it ended with step {ended.at.step}, the control run with step {control.at.step}"
    tolerance = max(WORSE_BY * control.val_loss, WORSE_BY_CHANCE * evidence.claim.chance_loss)
    if ended.val_loss - control.val_loss <= tolerance:
        return ""
    return f"the final loss is {ended.val_loss:.4g}, in the control run {control.val_loss:.4g}"
