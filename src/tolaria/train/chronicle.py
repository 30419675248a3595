"""A history sorted by environment, slot and seed, as the story and the picture of a run need it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tolaria.lifecycle.stage import RESTING, Stage
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, PenaltyDelivered, RolledBack, SnapshotTaken
from tolaria.telemetry.growth_events import ActionRefused, AlphaSearched, FossilMeasured, SeedsValued, SlotRestored, StageChanged
from tolaria.telemetry.run_events import (
    EpisodeFinished,
    PolicyRestored,
    RunAborted,
    RunFinished,
    RunStarted,
    StepFinished,
    UpdateFinished,
    WarmStarted,
)


@dataclass(slots=True)
class SeedLife:
    """One seed: where it grew and which stage it entered at which step, the last of them its fate."""

    slot: str
    generation: int
    blueprint: str
    stages: list[tuple[int, Stage]]
    end: str = ""


@dataclass(slots=True)
class EnvironmentRecord:
    """What happened in one environment, each list in order of time. `lanes` are the stages of each slot by step."""

    slots: tuple[str, ...]
    steps: list[StepFinished] = field(default_factory=list)
    snapshots: list[SnapshotTaken] = field(default_factory=list)
    collapses: list[Collapsed] = field(default_factory=list)
    rollbacks: list[RolledBack] = field(default_factory=list)
    penalties: list[PenaltyDelivered] = field(default_factory=list)
    refusals: list[ActionRefused] = field(default_factory=list)
    episodes: list[EpisodeFinished] = field(default_factory=list)
    searched: list[AlphaSearched] = field(default_factory=list)
    measured: list[FossilMeasured] = field(default_factory=list)
    valued: list[SeedsValued] = field(default_factory=list)
    seeds: list[SeedLife] = field(default_factory=list)
    lanes: dict[str, list[tuple[int, Stage]]] = field(default_factory=dict)
    retired: EnvironmentRetired | None = None

    def __post_init__(self) -> None:
        self.lanes = {slot: [(0, Stage.DORMANT)] for slot in self.slots}


def stage_at(lane: list[tuple[int, Stage]], step: int) -> Stage:
    """The stage in which a slot was at the end of a step; `lane` is in order of time."""
    return next(stage for begin, stage in reversed(lane) if begin <= step)


@dataclass(slots=True)
class Chronicle:
    """A whole run. `started` is None for a history that does not begin at the beginning, `ended` for one that goes on."""

    started: RunStarted | None = None
    ended: RunFinished | RunAborted | None = None
    environments: dict[int, EnvironmentRecord] = field(default_factory=dict)
    updates: list[UpdateFinished] = field(default_factory=list)
    restored: list[PolicyRestored] = field(default_factory=list)
    warm_start: WarmStarted | None = None


def compile_chronicle(events: Iterable[Event]) -> Chronicle:
    """Sort the events; kinds that tell nothing of the run's story, a harness's too, are left aside."""
    chronicle = Chronicle()
    for event in events:
        match event:
            case RunStarted():
                chronicle.started = event
            case RunFinished() | RunAborted():
                chronicle.ended = event
            case UpdateFinished():
                chronicle.updates.append(event)
            case WarmStarted():
                chronicle.warm_start = event
            case PolicyRestored():
                chronicle.restored.append(event)
            case _ if event.at.env is not None:
                slots = () if chronicle.started is None else chronicle.started.slots
                _record(event, chronicle.environments.setdefault(event.at.env, EnvironmentRecord(slots)))
    chronicle.environments = dict(sorted(chronicle.environments.items()))
    return chronicle


def _record(event: Event, record: EnvironmentRecord) -> None:
    match event:
        case StepFinished():
            record.steps.append(event)
        case SnapshotTaken():
            record.snapshots.append(event)
        case Collapsed():
            record.collapses.append(event)
        case RolledBack():
            record.rollbacks.append(event)
        case PenaltyDelivered():
            record.penalties.append(event)
        case ActionRefused():
            record.refusals.append(event)
        case AlphaSearched():
            record.searched.append(event)
        case FossilMeasured():
            record.measured.append(event)
        case SeedsValued():
            record.valued.append(event)
        case EnvironmentRetired():
            record.retired = event
        case StageChanged() | SlotRestored():
            _record_stage(event, record)
        case EpisodeFinished():
            record.episodes.append(event)
            # The next host begins one step later, with empty slots.
            for lane in record.lanes.values():
                lane.append((event.at.step + 1, Stage.DORMANT))


def _record_stage(event: StageChanged | SlotRestored, record: EnvironmentRecord) -> None:
    record.lanes.setdefault(event.slot, [(0, Stage.DORMANT)]).append((event.at.step, event.stage_to))
    if isinstance(event, StageChanged) and event.stage_to is Stage.GERMINATED:
        seed = SeedLife(event.slot, event.generation, event.blueprint or "a seed", [(event.at.step, event.stage_to)])
        record.seeds.append(seed)
        return
    ours = [seed for seed in record.seeds if (seed.slot, seed.generation) == (event.slot, event.generation)]
    # That the slot of a seed rests and wakes is the slot's story. Generations begin anew in an episode, so the latest counts.
    if not ours or event.stage_to is Stage.DORMANT or (event.stage_to in RESTING and event.stage_to is not Stage.PRUNED):
        return
    ours[-1].stages.append((event.at.step, event.stage_to))
    if isinstance(event, SlotRestored):
        ours[-1].end = "put back by a rollback"
    elif event.stage_to in {Stage.FOSSILIZED, Stage.PRUNED}:
        ours[-1].end = f"{event.initiator}: {event.reason}" if event.reason else event.initiator
