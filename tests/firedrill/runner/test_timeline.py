from dataclasses import replace

from firedrill.oracles.oracle import Evidence
from firedrill.runner.timeline import Mark, timeline_of
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import EnvironmentRetired, Suspected
from tolaria.telemetry.growth_events import SlotRestored
from tolaria.telemetry.run_events import StepFinished


def test_every_environment_has_its_curve(healed: Evidence) -> None:
    curves = timeline_of(healed.faulted).curves
    assert [(curve.env, len(curve.steps)) for curve in curves] == [(0, 14), (1, 14)]
    assert (curves[1].steps[2], curves[1].val_losses[2]) == (2, 0.58)


def test_a_loss_that_is_not_finite_is_a_gap(healed: Evidence) -> None:
    event = next(event for event in healed.faulted if isinstance(event, StepFinished))
    assert timeline_of([replace(event, val_loss=float("inf"))]).curves[0].val_losses == (None,)


def test_what_happened_is_marked_in_its_order(healed: Evidence) -> None:
    marks = [mark for mark in timeline_of(healed.faulted).marks if mark.step in {3, 5}]
    assert marks == [
        Mark(3, 1, "snapshot", "1, cadence"),
        Mark(5, 1, "fault", "tensor.set host/head.weight[0]"),
        Mark(5, 1, "collapsed", "non_finite"),
        Mark(5, 1, "stage", "s0 pruned"),
        Mark(5, 1, "rolled_back", "to snapshot 1 of step 3"),
        Mark(5, 1, "penalty", "-10"),
    ]


def test_suspicion_and_retirement_are_marked() -> None:
    events: list[Event] = [Suspected(Point(1, 0), "loss", 3.0, 2.0, 2), EnvironmentRetired(Point(2, 0), 1, "spent")]
    assert [(mark.kind, mark.label) for mark in timeline_of(events).marks] == [("suspected", "loss, streak 2"), ("retired", "spent")]


def test_a_slot_that_a_rollback_put_back_is_marked_with_its_stage() -> None:
    events: list[Event] = [SlotRestored(Point(5, 1), "s1", 2, Stage.FOSSILIZED, Stage.HOLDING)]
    assert timeline_of(events).marks == (Mark(5, 1, "stage", "s1 holding"),)
