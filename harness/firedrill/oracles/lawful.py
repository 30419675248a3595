"""Seeds and slots move by the table only, and rest exactly as long as they must."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, last_steps, of, place, where
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import EpisodeFinished

GROWN = {
    Stage.DORMANT: {Stage.GERMINATED},
    Stage.GERMINATED: {Stage.TRAINING, Stage.PRUNED},
    Stage.TRAINING: {Stage.BLENDING, Stage.PRUNED},
    Stage.BLENDING: {Stage.HOLDING, Stage.PRUNED},
    Stage.HOLDING: {Stage.FOSSILIZED, Stage.BLENDING, Stage.PRUNED},
    Stage.FOSSILIZED: set[Stage](),
}
# What time alone does to a slot: the next stage, and after how many ticks.
RESTED = {
    Stage.PRUNED: (Stage.EMBARGOED, 1),
    Stage.EMBARGOED: (Stage.RESETTING, 5),
    Stage.RESETTING: (Stage.DORMANT, 1),
}

Slot = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class Lawful(Oracle):
    """Own table, own count of the cooldown; whatever the governor prunes says so and says why."""

    kind: ClassVar[str] = "lawful"

    def judge(self, evidence: Evidence) -> Finding:
        """Follows every slot from DORMANT through the whole history."""
        if not of(evidence.faulted, StageChanged):
            return self.unknown("no slot ever moved")
        walk = Walk()
        for event in evidence.faulted:
            fault = walk.take(event)
            if fault:
                return self.failed(place(*where(event)), fault, "move")
        last = last_steps(evidence.faulted)
        for (env, slot), due in walk.due.items():
            if env is not None and due <= last.get(env, -1):
                return self.failed(place(env, due), f"{slot} is still {walk.stages[env, slot].value}", "cooldown")
        for rollback in of(evidence.faulted, RolledBack):
            for unsaid in _unsaid(evidence.faulted, rollback):
                return self.failed(place(*where(rollback)), unsaid, "pruned")
        return self.passed(f"{len(of(evidence.faulted, StageChanged))} moves by the table")


@dataclass(slots=True)
class Walk:
    """Where every slot stands while a history is read, and the step in which it must move on, where that is known.

    `governed` are the slots whose latest prune was the governor's: it prunes after the tick of its step.
    """

    stages: dict[Slot, Stage] = field(default_factory=dict)
    due: dict[Slot, int] = field(default_factory=dict)
    governed: set[Slot] = field(default_factory=set)

    def take(self, event: Event) -> str:
        """What is unlawful about the next event, or nothing."""
        if isinstance(event, StageChanged):
            return self._move(event)
        if isinstance(event, SlotRestored):
            # How long the slot had rested when the snapshot was taken is not told, so its cooldown cannot be counted.
            self.due.pop((event.at.env, event.slot), None)
            self.stages[event.at.env, event.slot] = event.stage_to
        elif isinstance(event, RolledBack):
            # Slots that rested before the rollback have the counter of the snapshot now; those that it pruned rest from this step on.
            self.due = {slot: due for slot, due in self.due.items() if slot[0] != event.at.env or slot[1] in _names(event)}
        elif isinstance(event, EpisodeFinished):
            self.stages = {slot: stage for slot, stage in self.stages.items() if slot[0] != event.at.env}
            self.due = {slot: due for slot, due in self.due.items() if slot[0] != event.at.env}
        return ""

    def _move(self, move: StageChanged) -> str:
        slot = (move.at.env, move.slot)
        stood = self.stages.get(slot, Stage.DORMANT)
        if move.stage_from is not stood:
            return f"{move.slot} moved from {move.stage_from.value}, but stood at {stood.value}"
        rested = RESTED.get(stood)
        allowed = GROWN[stood] if rested is None else {rested[0]}
        if move.stage_to not in allowed:
            return f"{move.slot} may not move from {stood.value} to {move.stage_to.value}"
        if (move.initiator == "time") != (rested is not None):
            return f"{move.slot} was moved from {stood.value} by {move.initiator}"
        if move.initiator == "governor" and (move.stage_to is not Stage.PRUNED or not move.reason):
            return f"{move.slot} was moved to {move.stage_to.value} by the governor, reason {move.reason!r}"
        fault = self._haste(move, slot)
        self.stages[slot] = move.stage_to
        self.due.pop(slot, None)
        if move.stage_to is Stage.PRUNED:
            self.governed = self.governed | {slot} if move.initiator == "governor" else self.governed - {slot}
        if move.stage_to in RESTED:
            self.due[slot] = move.at.step + RESTED[move.stage_to][1]
        return fault

    def _haste(self, move: StageChanged, slot: Slot) -> str:
        due = self.due.get(slot)
        if due is None or move.at.step == due:
            return ""
        # Slots tick at the end of a step: what anybody else prunes before that has its first tick in the very same step.
        if move.stage_from is Stage.PRUNED and move.at.step == due - 1 and slot not in self.governed:
            return ""
        return f"{move.slot} left {move.stage_from.value} in step {move.at.step}, not in step {due}"


def _names(rollback: RolledBack) -> set[str]:
    """The slots that a rollback says it pruned; a generation may follow the name of the slot."""
    return {pruned.partition(".")[0] for pruned in rollback.pruned}


def _unsaid(events: tuple[Event, ...], rollback: RolledBack) -> Iterator[str]:
    moves = [move for move in of(events, StageChanged) if where(move) == where(rollback) and move.initiator == "governor"]
    said, seen = _names(rollback), {move.slot for move in moves}
    yield from (f"{slot} was pruned by the rollback without a move of the governor" for slot in sorted(said - seen))
    yield from (f"{slot} was pruned by the governor, but the rollback does not say so" for slot in sorted(seen - said))
