from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import FaultStruck, RunResumed, StateDigested, StateLeft
from firedrill.oracles.oracle import Answer, Evidence, Finding
from firedrill.oracles.undisturbed import Undisturbed
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.run_events import RunFinished, StepFinished, StorageFailed

STRIKE = FaultStruck(Point(5, 1), 0, "proc.sigkill", "process", 1, "aa", "ab", "proc.sigkill")
RESUMED = RunResumed(Point(4), 7)
FAILURE = StorageFailed(Point(8), "OSError: no space left")


@pytest.fixture
def same(healed: Evidence) -> Evidence:
    """A faulted run that is the control run, event by event, but for what only control runs tell."""
    return replace(healed, faulted=tuple(event for event in healed.control if not isinstance(event, StateLeft)))


ONCE = Undisturbed(resumes=1)


def judged(evidence: Evidence, *more: Event, oracle: Undisturbed = ONCE) -> Finding:
    return oracle.judge(replace(evidence, faulted=(*evidence.faulted, *more)))


def test_a_run_that_was_killed_and_resumed_is_the_control_run(same: Evidence) -> None:
    assert judged(same, STRIKE, RESUMED).answer is Answer.PASS


@pytest.mark.parametrize("kind", [StepFinished, StateDigested])
def test_another_event_fails_at_its_place(same: Evidence, kind: type[Event]) -> None:
    at = next(i for i, event in enumerate(same.faulted) if isinstance(event, kind) and event.at == Point(6, 1))
    faulted = list(same.faulted)
    event = faulted[at]
    faulted[at] = replace(event, val_loss=9.0) if isinstance(event, StepFinished) else StateDigested(event.at, (("host", "00"),))
    finding = judged(replace(same, faulted=tuple(faulted)), RESUMED)
    assert (finding.answer, finding.place, finding.key) == (Answer.FAIL, "env 1 step 6", "differs")


@pytest.mark.parametrize("which", [slice(0, -9), slice(3, None)])
def test_events_that_are_missing_fail(same: Evidence, which: slice) -> None:
    assert judged(replace(same, faulted=same.faulted[which]), RESUMED).answer is Answer.FAIL


@pytest.mark.parametrize("more", [(), (RESUMED, RESUMED)])
def test_a_run_that_was_resumed_more_or_less_often_fails(same: Evidence, more: tuple[Event, ...]) -> None:
    assert judged(same, *more).key == "count"


@pytest.mark.parametrize(("failures", "expected"), [(0, Answer.FAIL), (1, Answer.PASS), (2, Answer.FAIL)])
def test_every_checkpoint_that_failed_is_told(same: Evidence, failures: int, expected: Answer) -> None:
    assert judged(same, *[FAILURE] * failures, oracle=Undisturbed(storage_failures=1)).answer is expected


def test_numbers_that_are_none_equal_each_other(same: Evidence) -> None:
    def broken(events: tuple[Event, ...]) -> tuple[Event, ...]:
        return tuple(replace(event, val_loss=float("nan")) if isinstance(event, StepFinished) else event for event in events)

    assert judged(replace(same, faulted=broken(same.faulted), control=broken(same.control)), RESUMED).answer is Answer.PASS


def test_without_a_finished_control_run_there_is_nothing_to_compare(same: Evidence, empty: Evidence) -> None:
    cut = tuple(event for event in same.control if not isinstance(event, RunFinished))
    make: Callable[[Evidence], Finding] = Undisturbed().judge
    assert {make(replace(same, control=cut)).answer, make(empty).answer} == {Answer.UNKNOWN}
