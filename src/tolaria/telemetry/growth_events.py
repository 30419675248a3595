"""Facts about seeds and slots."""

from dataclasses import dataclass

from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event


@dataclass(frozen=True, slots=True)
class StageChanged(Event):
    """A slot made a move of the table. `initiator` is "policy", "governor", "environment", "time" or "fault"."""

    slot: str
    generation: int
    blueprint: str | None
    stage_from: Stage
    stage_to: Stage
    reason: str
    initiator: str


@dataclass(frozen=True, slots=True)
class SlotRestored(Event):
    """A rollback put a slot back to the stage that its snapshot recorded; this is no move of the table."""

    slot: str
    generation: int
    stage_from: Stage
    stage_to: Stage


@dataclass(frozen=True, slots=True)
class ActionRefused(Event):
    """A gate was closed: the decision changed nothing."""

    op: str
    slot: str
    reason: str
