"""Once nothing strikes any more, the run is well."""

import math
from dataclasses import dataclass
from typing import ClassVar

from firedrill.events import FaultStruck
from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place, where
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack, SnapshotTaken, Suspected
from tolaria.telemetry.run_events import RunFinished, StepFinished

# Of a very good control run every loss is far away, in proportion; this part of the loss of a guess is always allowed.
ALLOWED_OF_CHANCE = 0.1


@dataclass(frozen=True, slots=True)
class Live(Oracle):
    """After `calm_from` of the horizon, when all faults have stopped, nobody is alarmed, and every struck environment has learnt.

    Its last loss is at most `tolerance`, relative, above that of the control run after equally many useful steps, which are those
    that no rollback took back. It came to that with at most `rollbacks` rollbacks.
    """

    rollbacks: int = 1
    tolerance: float = 0.2
    calm_from: float = 0.7
    kind: ClassVar[str] = "live"

    def judge(self, evidence: Evidence) -> Finding:
        """A run whose faults go on behind the border says nothing."""
        claim = evidence.claim
        strikes = of(evidence.faulted, FaultStruck)
        border = math.ceil(self.calm_from * claim.steps)
        if not strikes or max(strike.at.step for strike in strikes) >= border:
            return self.unknown(f"faults strike until step {max(strike.at.step for strike in strikes)}" if strikes else "no fault struck")
        if not of(evidence.faulted, RunFinished):
            return self.failed("", "the run did not reach its end", "unfinished")
        for event in evidence.faulted:
            if isinstance(event, EnvironmentRetired):
                return self.failed(place(*where(event)), "retired", "retired")
            if isinstance(event, Suspected | Collapsed | RolledBack) and event.at.step >= border:
                return self.failed(place(*where(event)), f"{type(event).__name__}, and nothing strikes any more", "alarm")
        for env in sorted(claim.struck_envs):
            count = sum(event.at.env == env for event in of(evidence.faulted, RolledBack))
            if count > self.rollbacks:
                return self.failed(f"env {env}", f"{count} rollbacks, {self.rollbacks} are allowed", "rollbacks")
            behind = self._behind(evidence, env)
            if behind:
                return self.failed(f"env {env}", behind, "behind")
        return self.passed(f"calm since step {border}, and as good as the control run after as many useful steps")

    def _behind(self, evidence: Evidence, env: int) -> str:
        losses, control = _losses(evidence.faulted, env), _losses(evidence.control, env)
        useful = len(losses) - _taken_back(evidence.faulted, env)
        if not losses or not 0 < useful <= len(control):
            return f"{useful} useful steps, which the control run cannot be asked about"
        allowed = control[useful - 1] + max(self.tolerance * control[useful - 1], ALLOWED_OF_CHANCE * evidence.claim.chance_loss)
        # Written so that NaN fails.
        if losses[-1] <= allowed:
            return ""
        return f"the loss is {losses[-1]:.4g} after {useful} useful steps, at most {allowed:.4g} was expected"


def _losses(events: tuple[Event, ...], env: int) -> list[float]:
    return [event.val_loss for event in of(events, StepFinished) if event.at.env == env]


def _taken_back(events: tuple[Event, ...], env: int) -> int:
    """How many steps rollbacks undid. The first snapshot was taken before its step, every other one after it."""
    first = {event.snapshot for event in of(events, SnapshotTaken) if event.at.env == env and event.reason == "begin"}
    mine = [event for event in of(events, RolledBack) if event.at.env == env]
    return sum(event.at.step - event.snapshot_step + (event.snapshot in first) for event in mine)
