import pytest
from hypothesis import given
from hypothesis import strategies as st

from firedrill.faults.chance import Chance
from firedrill.faults.condition import Condition
from firedrill.faults.fault import Unfit
from firedrill.faults.when import EventCounts, When
from tolaria.seeding import stream
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import SnapshotTaken
from tolaria.telemetry.run_events import StepFinished, UpdateFinished

ENVS = 3
STEPS = 12


def snapshot(step: int, env: int) -> Event:
    return SnapshotTaken(Point(step, env), snapshot=0, digest="", bytes=0, reason="cadence")


def counted(*events: Event) -> EventCounts:
    counts = EventCounts()
    for event in events:
        counts.note(event)
    return counts


def due_steps(when: When, counts: EventCounts, env: int) -> list[int]:
    phase = when.phase or "weights_updated"
    return [step for step in range(STEPS) if when.is_due(Point(step, env, 0), phase, counts)]


def settled(**fields: object) -> When:
    return When(**fields).resolved(ENVS, STEPS, "weights_updated")  # type: ignore[arg-type]  # Fields of many types, for brevity.


def test_a_step_strikes_once_in_its_environment() -> None:
    when = settled(step=4, env=1)
    assert [due_steps(when, EventCounts(), env) for env in range(ENVS)] == [[], [4], []]


def test_all_strikes_every_environment() -> None:
    when = settled(step=4, env="all")
    assert [due_steps(when, EventCounts(), env) for env in range(ENVS)] == [[4], [4], [4]]


def test_another_phase_is_not_due() -> None:
    assert not settled(step=4, env=1).is_due(Point(4, 1, 0), "gradients_ready", EventCounts())


def test_only_the_named_batch_is_due() -> None:
    when = settled(step=4, env=1, batch=2)
    assert [batch for batch in range(5) if when.is_due(Point(4, 1, batch), "weights_updated", EventCounts())] == [2]


def test_a_phase_without_batches_is_due_whatever_the_batch() -> None:
    assert settled(step=4, env=1, batch=2).is_due(Point(4, 1), "weights_updated", EventCounts())


def test_an_event_is_waited_for() -> None:
    assert due_steps(settled(event="snapshot_taken", occurrence=2, env=1), counted(snapshot(3, 1)), 1) == []


def test_occurrences_are_counted_in_each_environment() -> None:
    counts = counted(snapshot(1, 0), snapshot(2, 1), snapshot(5, 0), snapshot(6, 1))
    when = settled(event="snapshot_taken", occurrence=2, plus_steps=1, env="all")
    assert [due_steps(when, counts, env) for env in range(ENVS)] == [[6], [7], []]


def test_events_of_the_run_count_for_every_environment() -> None:
    counts = counted(UpdateFinished(Point(4), None, None, None, None, 0, ""))
    assert due_steps(settled(event="update_finished", plus_steps=1, env=1), counts, 1) == [5]


def test_a_later_event_moves_nothing() -> None:
    when = settled(event="snapshot_taken", occurrence=1, plus_steps=2, env=0)
    assert due_steps(when, counted(snapshot(3, 0)), 0) == due_steps(when, counted(snapshot(3, 0), snapshot(4, 0)), 0) == [5]


def test_for_steps_strikes_in_a_row() -> None:
    assert due_steps(settled(step=4, env=1, for_steps=3), EventCounts(), 1) == [4, 5, 6]


def test_forever_goes_on_to_the_end() -> None:
    assert due_steps(settled(step=9, env=1, for_steps="forever"), EventCounts(), 1) == [9, 10, 11]


def test_first_and_last_become_steps() -> None:
    assert (settled(step="first", env=0).step, settled(step="last", env=0).step) == (0, 11)


def test_one_environment_needs_no_name() -> None:
    assert When(step=1).resolved(1, STEPS, "weights_updated").env == 0


def test_a_named_phase_is_kept() -> None:
    assert settled(step=1, env=0, phase="step_begun").phase == "step_begun"


@given(
    step=st.integers(0, STEPS - 1),
    length=st.integers(1, STEPS),
    env=st.one_of(st.just("all"), st.integers(0, ENVS - 1), st.sets(st.integers(0, ENVS - 1), min_size=1).map(tuple)),
)
def test_a_moment_that_fits_is_due_exactly_as_often_as_declared(step: int, length: int, env: object) -> None:
    length = min(length, STEPS - step)
    when = settled(step=step, env=env, for_steps=length)
    assert sum(len(due_steps(when, EventCounts(), each)) for each in range(ENVS)) == when.declared_strikes(ENVS)


@given(step=st.integers(0, 5), env=st.integers(0, ENVS - 1), phase=st.sampled_from(["weights_updated", "step_begun"]))
def test_asking_twice_gives_the_same_answer(step: int, env: int, phase: str) -> None:
    when, at = settled(step=3, env=1), Point(step, env, 0)
    assert when.is_due(at, phase, EventCounts()) == when.is_due(at, phase, EventCounts())


def test_forever_declares_no_number() -> None:
    assert settled(step=1, env=0, for_steps="forever").declared_strikes(ENVS) is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"step": -1}, "step"),
        ({"event": "snapshot_taken", "occurrence": 0}, "occurrence"),
        ({"event": "snapshot_taken", "plus_steps": -1}, "plus_steps"),
        ({"step": 1, "batch": -1}, "batch"),
        ({"step": 1, "for_steps": 0}, "for_steps"),
        ({"step": 1, "env": (1, 1)}, "env"),
        ({"step": 1, "env": ()}, "env"),
    ],
)
def test_a_moment_that_never_comes_is_refused_by_its_field(fields: dict[str, object], named: str) -> None:
    with pytest.raises(Unfit) as refused:
        When(**fields)  # type: ignore[arg-type]  # Wrong on purpose.
    assert refused.value.field == named


@pytest.mark.parametrize("fields", [{}, {"step": 1, "event": "snapshot_taken"}])
def test_exactly_one_trigger_is_needed(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="exactly one of step, event and condition"):
        When(**fields)  # type: ignore[arg-type]  # Wrong on purpose.


def finished(step: int, env: int, val_loss: float) -> Event:
    return StepFinished(Point(step, env), "wait", "s0", True, 0.5, val_loss, 0.5, 1.0, 0.1)


def test_a_condition_is_due_in_the_step_after_it_was_first_met() -> None:
    counts = counted(finished(2, 1, 0.9), finished(3, 1, 0.4), finished(4, 1, 0.3))
    when = settled(condition=Condition(metric="val_loss", below=0.5), env="all")
    assert [due_steps(when, counts, env) for env in range(ENVS)] == [[], [4], []]


def test_a_condition_that_is_met_later_is_found_then() -> None:
    counts = counted(finished(2, 1, 0.9))
    when = settled(condition=Condition(metric="val_loss", below=0.5), plus_steps=1, env=1)
    assert due_steps(when, counts, 1) == []
    counts.note(finished(3, 1, 0.4))
    assert due_steps(when, counts, 1) == [5]


def test_chance_picks_some_of_the_steps_that_are_due() -> None:
    when = settled(step=2, env=1, for_steps=6, chance=Chance(probability=1.0, limit=2))
    struck = [step for step in range(STEPS) if when.is_due(Point(step, 1, 0), "weights_updated", EventCounts(), lambda: stream(3, "luck"))]
    assert struck == [2, 3]


def test_chance_declares_no_number() -> None:
    assert settled(step=1, env=0, for_steps=5, chance=Chance(probability=0.5, limit=2)).declared_strikes(ENVS) is None


def test_chance_in_a_single_step_is_refused() -> None:
    with pytest.raises(Unfit, match="chance needs several steps"):
        When(step=1, chance=Chance(probability=0.5, limit=2))
