from collections.abc import Callable

import pytest

from firedrill.oracles.oracle import Answer, Evidence
from firedrill.oracles.unharmed import Unharmed
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import EnvironmentRetired
from tolaria.telemetry.run_events import RunFinished, StepFinished

Edit = Callable[..., Evidence]


# The control run ends with a loss of 0.47: worse means more than max(20 %, 0.1 x 0.7), which is 0.094.
@pytest.mark.parametrize(("loss", "answer"), [(0.1, Answer.PASS), (0.56, Answer.PASS), (0.57, Answer.FAIL), (float("nan"), Answer.FAIL)])
def test_the_final_loss_is_held_against_that_of_the_control_run(edit: Edit, loss: float, answer: Answer) -> None:
    assert Unharmed().judge(edit(StepFinished, lambda event: event.at == Point(13, 1), val_loss=loss)).answer is answer


def test_a_loss_on_the_way_is_no_harm(edit: Edit) -> None:
    assert Unharmed().judge(edit(StepFinished, lambda event: event.at == Point(9, 1), val_loss=50.0)).answer is Answer.PASS


def test_a_run_that_stopped_says_nothing_of_where_it_would_have_come_to(add: Edit, drop: Edit) -> None:
    assert Unharmed().judge(add(EnvironmentRetired(Point(9, 1), 0, "enough"))).answer is Answer.UNKNOWN
    assert Unharmed().judge(drop(RunFinished)).answer is Answer.UNKNOWN
