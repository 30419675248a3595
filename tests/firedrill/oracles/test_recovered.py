from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.oracles.oracle import Answer, Evidence
from firedrill.oracles.recovered import Recovered
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack
from tolaria.telemetry.run_events import RunFinished, StepFinished

Edit = Callable[..., Evidence]


@pytest.mark.parametrize(("step", "answer"), [(8, Answer.FAIL), (9, Answer.PASS)])
def test_a_new_collapse_within_the_time_fails(add: Edit, step: int, answer: Answer) -> None:
    again = Collapsed(Point(step, 1), "non_finite", None, None, 0, "parameters")
    assert Recovered(within=3).judge(add(again)).answer is answer


def test_a_loss_that_is_not_finite_at_the_end_of_the_time_fails(edit: Edit) -> None:
    finding = Recovered(within=3).judge(edit(StepFinished, lambda e: e.at == Point(8, 1), val_loss=float("nan")))
    assert finding.detail == "env 1 step 8: validation loss is not finite"


def test_a_step_that_was_never_finished_fails(drop: Edit) -> None:
    assert Recovered(within=3).judge(drop(StepFinished, lambda e: e.at == Point(8, 1))).key == "unfinished"


def test_an_environment_that_silently_stopped_fails(drop: Edit) -> None:
    assert Recovered(within=3).judge(drop(StepFinished, lambda e: e.at.env == 1 and e.at.step > 6)).key == "unfinished"


def test_a_run_without_an_end_fails(drop: Edit) -> None:
    assert Recovered(within=3).judge(drop(RunFinished)).detail == "the run did not reach its end"


def test_a_retired_environment_has_not_recovered(add: Edit) -> None:
    finding = Recovered(within=3).judge(add(EnvironmentRetired(Point(9, 1), 3, "budget spent")))
    assert finding.detail == "env 1 step 9: retired: budget spent"


def test_a_rollback_close_to_the_end_is_judged_at_the_last_step(edit: Edit) -> None:
    assert Recovered(within=3).judge(edit(RolledBack, at=Point(12, 1))).answer is Answer.PASS


def test_a_rollback_in_the_last_step_cannot_be_judged(edit: Edit) -> None:
    assert Recovered(within=3).judge(edit(RolledBack, at=Point(13, 1))).answer is Answer.UNKNOWN


def test_without_a_rollback_there_is_nothing_to_judge(healed: Evidence) -> None:
    assert Recovered(within=3).judge(replace(healed, faulted=healed.control)).answer is Answer.UNKNOWN
