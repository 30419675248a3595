"""A history as a picture needs it: one loss curve an environment, and marks on it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from firedrill.events import FaultStruck
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, PenaltyDelivered, RolledBack, SnapshotTaken, Suspected
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import StepFinished


@dataclass(frozen=True, slots=True)
class Curve:
    """The validation loss of one environment, step by step; None where it was not finite."""

    env: int
    steps: tuple[int, ...]
    val_losses: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a step. `kind`: fault, suspected, collapsed, rolled_back, snapshot, penalty, stage or retired."""

    step: int
    env: int | None
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Curves by environment, marks in the order of the history."""

    curves: tuple[Curve, ...] = ()
    marks: tuple[Mark, ...] = ()


def timeline_of(events: Iterable[Event]) -> Timeline:
    """Everything of a history that can be drawn."""
    losses: dict[int, dict[int, float | None]] = {}
    marks = []
    for event in events:
        if isinstance(event, StepFinished) and event.at.env is not None:
            losses.setdefault(event.at.env, {})[event.at.step] = event.val_loss if math.isfinite(event.val_loss) else None
        described = mark_of(event)
        if described is not None:
            marks.append(Mark(event.at.step, event.at.env, *described))
    curves = tuple(Curve(env, tuple(by_step), tuple(by_step.values())) for env, by_step in sorted(losses.items()))
    return Timeline(curves, tuple(marks))


def mark_of(event: Event) -> tuple[str, str] | None:
    """Kind and label of an event that is drawn, None of one that is not."""
    match event:
        case FaultStruck():
            return "fault", f"{event.kind} {event.place}".strip()
        case Suspected():
            return "suspected", f"{event.cause}, streak {event.streak}"
        case Collapsed():
            return "collapsed", event.cause
        case RolledBack():
            return "rolled_back", f"to snapshot {event.snapshot} of step {event.snapshot_step}"
        case SnapshotTaken():
            return "snapshot", f"{event.snapshot}, {event.reason}"
        case PenaltyDelivered():
            return "penalty", f"{event.amount:g}"
        case StageChanged() | SlotRestored():
            return "stage", f"{event.slot} {event.stage_to.value}"
        case EnvironmentRetired():
            return "retired", event.reason
    return None
