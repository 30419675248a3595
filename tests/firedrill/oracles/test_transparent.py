from collections.abc import Callable
from dataclasses import replace

from firedrill.events import StateDigested, StateLeft
from firedrill.oracles.oracle import Answer, Evidence
from firedrill.oracles.transparent import Transparent
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.run_events import StepFinished


def changed(events: tuple[Event, ...] | None, which: Callable[[Event], bool], **fields: object) -> tuple[Event, ...]:
    """The same history with other fields in some events."""
    assert events is not None
    assert any(map(which, events))
    return tuple(replace(event, **fields) if which(event) else event for event in events)


def test_a_number_that_only_the_watched_run_tells_fails(healed: Evidence) -> None:
    control = changed(healed.control, lambda e: isinstance(e, StepFinished) and e.at == Point(4, 1), val_loss=0.5601)
    finding = Transparent().judge(replace(healed, control=control))
    assert finding.detail == "env 1 step 4: StepFinished differs from the run without a harness"


def test_an_event_that_only_the_run_without_a_harness_tells_fails(healed: Evidence) -> None:
    assert healed.bare is not None
    finding = Transparent().judge(replace(healed, bare=(*healed.bare[:3], healed.bare[2], *healed.bare[3:])))
    assert (finding.answer, finding.key) == (Answer.FAIL, "told")


def test_another_state_at_the_end_fails(healed: Evidence) -> None:
    control = changed(healed.control, lambda e: isinstance(e, StateLeft) and e.at.env == 0, parts=(("host", "x"),))
    finding = Transparent().judge(replace(healed, control=control))
    assert (finding.place, finding.key) == ("env 0 step 14", "left")


def test_a_hook_that_the_harness_left_fails_and_one_that_was_always_there_does_not(healed: Evidence) -> None:
    control = changed(healed.control, lambda e: isinstance(e, StateLeft) and e.at.env == 1, hooks=2)
    finding = Transparent().judge(replace(healed, control=control))
    assert finding.detail == "env 1 step 14: 2 hooks are left on the host"
    bare = changed(healed.bare, lambda e: isinstance(e, StateLeft) and e.at.env == 1, hooks=2)
    assert Transparent().judge(replace(healed, control=control, bare=bare)).answer is Answer.PASS


def test_nan_equals_itself(healed: Evidence) -> None:
    one, other = (
        changed(events, lambda e: isinstance(e, StepFinished) and e.at == Point(4, 1), val_loss=float("nan"))
        for events in (healed.control, healed.bare)
    )
    assert Transparent().judge(replace(healed, control=one, bare=other)).answer is Answer.PASS


def test_without_such_a_run_or_a_look_at_its_end_the_answer_is_unknown(healed: Evidence) -> None:
    assert Transparent().judge(replace(healed, bare=None)).answer is Answer.UNKNOWN
    assert healed.bare is not None
    one, other = (tuple(event for event in events if not isinstance(event, StateLeft)) for events in (healed.control, healed.bare))
    assert Transparent().judge(replace(healed, control=one, bare=other)).answer is Answer.UNKNOWN


def test_what_the_harness_itself_tells_does_not_count(healed: Evidence) -> None:
    without = tuple(event for event in healed.control if not isinstance(event, StateDigested))
    assert Transparent().judge(replace(healed, control=without)).answer is Answer.PASS
