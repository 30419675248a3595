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
class FossilMeasured(Event):
    """A committed seed was taken out of the host as it is now: accuracy with it minus without it, and the standard error of that."""

    slot: str
    generation: int
    contribution: float
    error: float


@dataclass(frozen=True, slots=True)
class AlphaSearched(Event):
    """Before a commit, strengths were tried on the validation split; the first is the one that was held. `chosen` was committed."""

    slot: str
    generation: int
    alphas: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


@dataclass(frozen=True, slots=True)
class SeedsValued(Event):
    """The end of an episode: Shapley values of the seeds in the host, which add up to accuracy with all minus accuracy with none.

    `slots` and `values` belong together. Where not `exact`, the values are means over orders that were drawn.
    """

    slots: tuple[str, ...]
    values: tuple[float, ...]
    accuracy_without: float
    accuracy_with: float
    exact: bool


@dataclass(frozen=True, slots=True)
class RewardExplained(Event):
    """The parts of a step's reward, which is their sum; of what is charged the part is negative."""

    progress: float
    contribution: float
    bonus: float
    rent: float
    cost: float


@dataclass(frozen=True, slots=True)
class ActionRefused(Event):
    """A gate was closed: the decision changed nothing."""

    op: str
    slot: str
    reason: str
