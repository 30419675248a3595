"""What a fault met when it struck: the stage of growth, and how the governor answered. Read off the history alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from firedrill.events import FaultStruck
from firedrill.scenario.scenario import PlannedFault
from tolaria.lifecycle.stage import RESTING, Stage
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, Suspected
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import EpisodeFinished, RunAborted


class Topology(StrEnum):
    """What stands in the slots of a host, the most delicate first: one slot that is blended makes the host BLENDED."""

    BLENDED = "blended"
    GROWING = "growing"
    FOSSIL = "fossil"
    RESTING = "resting"
    BARE = "bare"


class Reply(StrEnum):
    """How the detectors answered: a collapse by a single alarm, by several in a row, a suspicion only, a typed stop, or nothing."""

    AT_ONCE = "at_once"
    COUNTED = "counted"
    SUSPECTED = "suspected"
    STOPPED = "stopped"
    SILENT = "silent"


TOPOLOGIES: dict[Topology, frozenset[Stage]] = {
    Topology.BLENDED: frozenset({Stage.BLENDING, Stage.HOLDING}),
    Topology.GROWING: frozenset({Stage.GERMINATED, Stage.TRAINING}),
    Topology.FOSSIL: frozenset({Stage.FOSSILIZED}),
    Topology.RESTING: RESTING,
}


@dataclass(frozen=True, slots=True)
class Exposure:
    """One fault that struck one environment and changed something: `cause` is the detector that answered, or empty."""

    fault: int
    kind: str
    phase: str
    topology: Topology
    reply: Reply
    cause: str


def exposures_of(events: Sequence[Event], faults: Sequence[PlannedFault]) -> tuple[Exposure, ...]:
    """Every fault with every environment that it struck, each once, by its first strike there."""
    stages: dict[tuple[int | None, str], Stage] = {}
    # A fault that moves a slot is told of after its move, and met the slot before it.
    own: dict[tuple[int | None, str], Stage] = {}
    found: dict[tuple[int, int | None], Exposure] = {}
    # Strikes in a sink's thread stand at the end of a history and are put back into their step.
    for event in sorted(events, key=lambda event: event.at.step):
        if isinstance(event, StageChanged | SlotRestored):
            moved_by_fault = isinstance(event, StageChanged) and event.initiator == "fault"
            (own if moved_by_fault else stages)[event.at.env, event.slot] = event.stage_to
        elif isinstance(event, EpisodeFinished):
            stages = {slot: stage for slot, stage in stages.items() if slot[0] != event.at.env}
        elif isinstance(event, FaultStruck):
            seen = {stage for (env, _), stage in stages.items() if env == event.at.env}
            if event.digest_before != event.digest_after and (event.fault, event.at.env) not in found:
                phase = faults[event.fault].at.phase or ""
                found[event.fault, event.at.env] = Exposure(event.fault, event.kind, phase, topology(seen), *_reply(events, event))
            stages |= own
            own = {}
    return tuple(found.values())


def topology(stages: set[Stage]) -> Topology:
    """The word for what stands in the slots."""
    return next((name for name, members in TOPOLOGIES.items() if stages & members), Topology.BARE)


def _reply(events: Sequence[Event], strike: FaultStruck) -> tuple[Reply, str]:
    """The answer in the step of the strike or later; what strikes a rollback itself comes after the alarm for it."""
    suspicion = ""
    for event in events:
        if isinstance(event, RunAborted):
            return Reply.STOPPED, suspicion
        if event.at.env != strike.at.env or event.at.step < strike.at.step:
            continue
        if isinstance(event, EnvironmentRetired):
            return Reply.STOPPED, suspicion
        if isinstance(event, Collapsed):
            return (Reply.AT_ONCE if event.streak <= 1 else Reply.COUNTED), event.cause
        if isinstance(event, Suspected):
            suspicion = suspicion or event.cause
    return (Reply.SUSPECTED, suspicion) if suspicion else (Reply.SILENT, "")
