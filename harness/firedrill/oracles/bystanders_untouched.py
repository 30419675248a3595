"""What happened to one environment did not happen to the others."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from firedrill.events import FaultStruck
from firedrill.oracles.oracle import Evidence, Finding, Oracle, differing_parts, digests, is_repeatable, of, place
from tolaria.telemetry.run_events import RunAborted, UpdateFinished


@dataclass(frozen=True, slots=True)
class BystandersUntouched(Oracle):
    """Every part of every environment that was not struck equals the control run's, at every step, to the last bit.

    A run that stopped stopped for everybody: then only the steps until there are compared. And a controller that has learnt from
    what was struck may decide otherwise everywhere: what comes after that is not compared.
    """

    kind: ClassVar[str] = "bystanders_untouched"

    def judge(self, evidence: Evidence) -> Finding:
        """A step that only one of the two runs has counts as a difference."""
        if not is_repeatable(evidence):
            return self.unknown("two control runs differ, so no difference says anything")
        bystanders = set(range(evidence.claim.envs)) - evidence.claim.struck_envs
        if not bystanders:
            return self.unknown("every environment was struck")
        faulted, control = digests(evidence.faulted), digests(evidence.control)
        if not faulted or not control:
            return self.unknown("no digests to compare")
        end = last_unlearnt(evidence)
        faulted = {row: parts for row, parts in faulted.items() if row[0] in bystanders and row[1] <= end}
        control = {row: parts for row, parts in control.items() if row[0] in bystanders and row[1] <= end}
        stopped = bool(of(evidence.faulted, RunAborted))
        rows = {*faulted} if stopped else {*faulted, *control}
        for env, step in sorted(rows, key=lambda row: row[1]):
            one, other = faulted.get((env, step)), control.get((env, step))
            if one is None or other is None:
                missing = "faulted" if one is None else "control"
                return self.failed(place(env, step), f"the {missing} run has no such step", "missing")
            part = next(differing_parts(one, other), None)
            if part is not None:
                return self.failed(place(env, step), f"{part} differs from the control run", "differs")
        if not faulted:
            return self.unknown("the run stopped before a bystander finished a step")
        return self.passed(f"{len(faulted)} steps of {len(bystanders)} environments byte-equal to the control run")


def last_unlearnt(evidence: Evidence) -> float:
    """The last step that was decided before the controller, which environments share, learnt from a step in which something struck."""
    struck = min((strike.at.step for strike in of(evidence.faulted, FaultStruck)), default=inf)
    return min((update.at.step for update in of(evidence.faulted, UpdateFinished) if update.at.step >= struck), default=inf)
