from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import FaultStruck
from firedrill.oracles.live import Live
from firedrill.oracles.oracle import Answer, Evidence, of
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack, Suspected
from tolaria.telemetry.run_events import RunFinished, StepFinished

Edit = Callable[..., Evidence]


# 70 % of fourteen steps: calm from step 10 on.
@pytest.mark.parametrize(("step", "answer"), [(9, Answer.PASS), (10, Answer.FAIL)])
@pytest.mark.parametrize("alarm", [Suspected(Point(0, 1), "loss", 3.0, 2.0, 1), Collapsed(Point(0, 0), "loss", 3.0, 2.0, 3, "")])
def test_an_alarm_after_the_border_fails(add: Edit, alarm: Event, step: int, answer: Answer) -> None:
    assert Live().judge(add(replace(alarm, at=replace(alarm.at, step=step)))).answer is answer


@pytest.mark.parametrize(("step", "answer"), [(9, Answer.PASS), (10, Answer.UNKNOWN)])
def test_faults_that_go_on_say_nothing(add: Edit, healed: Evidence, step: int, answer: Answer) -> None:
    strike = replace(of(healed.faulted, FaultStruck)[0], at=Point(step, 1))
    assert Live().judge(add(strike)).answer is answer


def test_more_rollbacks_than_allowed_fail(healed: Evidence) -> None:
    assert Live(rollbacks=0).judge(healed).detail == "env 1: 1 rollbacks, 0 are allowed"


# Step 4 and 5 were taken back: 12 useful steps, where the control run has 0.49. A fifth of it more is 0.588.
@pytest.mark.parametrize(("loss", "answer"), [(0.587, Answer.PASS), (0.589, Answer.FAIL), (float("nan"), Answer.FAIL)])
def test_the_last_loss_is_compared_after_equally_many_useful_steps(edit: Edit, loss: float, answer: Answer) -> None:
    finding = Live().judge(edit(StepFinished, lambda e: e.at == Point(13, 1), val_loss=loss))
    assert finding.answer is answer
    assert answer is Answer.PASS or "after 12 useful steps, at most 0.588 was expected" in finding.detail


def test_the_first_snapshot_takes_its_own_step_back_too(edit: Edit) -> None:
    # It was taken before step 0: six steps are lost, and the control run has 0.53 after the eighth.
    evidence = edit(RolledBack, snapshot=0, snapshot_step=0)
    diverged = tuple(replace(event, val_loss=9.0) if isinstance(event, StepFinished) else event for event in evidence.faulted)
    finding = Live().judge(replace(evidence, faulted=diverged))
    assert finding.detail == "env 1: the loss is 9 after 8 useful steps, at most 0.636 was expected"


def test_near_zero_a_tenth_of_a_guess_is_allowed(edit: Edit, healed: Evidence) -> None:
    evidence = edit(StepFinished, lambda e: e.at == Point(13, 1), val_loss=0.07)
    control = tuple(replace(event, val_loss=0.001) if isinstance(event, StepFinished) else event for event in healed.control)
    assert Live().judge(replace(evidence, control=control)).answer is Answer.PASS


def test_a_retired_environment_is_not_live(add: Edit) -> None:
    assert Live().judge(add(EnvironmentRetired(Point(6, 1), 1, "budget spent"))).key == "retired"


def test_a_run_without_an_end_is_not_live(drop: Edit) -> None:
    assert Live().judge(drop(RunFinished)).key == "unfinished"
