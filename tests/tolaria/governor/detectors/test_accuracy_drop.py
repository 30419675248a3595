"""The border is 30 points below the mean of the last ten."""

import math
from typing import Any

import pytest

from tolaria.governor.verdict import Alarm
from tolaria.vitals import Outputs


@pytest.mark.parametrize(("accuracy", "noticed"), [(0.44, True), (0.45, False), (0.46, False)])
def test_thirty_points_below_the_mean_is_the_border(alarm: Any, window_of: Any, vitals: Any, accuracy: float, noticed: bool) -> None:
    window = window_of([vitals(accuracy=0.75)] * 10)
    assert (alarm("accuracy_drop", vitals(accuracy=accuracy), window) is not None) == noticed


def test_the_mean_is_that_of_the_last_ten_steps(alarm: Any, window_of: Any, vitals: Any) -> None:
    window = window_of([vitals(accuracy=a) for a in [0.2] * 3 + [0.9] * 5 + [0.5] * 5])
    assert alarm("accuracy_drop", vitals(accuracy=0.39), window) is not None
    assert alarm("accuracy_drop", vitals(accuracy=0.41), window) is None


def test_ten_steps_are_enough_and_nine_are_not(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("accuracy_drop", vitals(accuracy=0.1), window_of([vitals()] * 10)) is not None
    assert alarm("accuracy_drop", vitals(accuracy=0.1), window_of([vitals()] * 9)) is None


def test_three_in_a_row_are_a_collapse_two_a_suspicion_and_one_says_nothing(alarm: Any, window_of: Any, vitals: Any) -> None:
    found = alarm("accuracy_drop", vitals(accuracy=0.4, outputs=None), window_of([vitals(accuracy=0.75)] * 10))
    assert found == Alarm("accuracy_drop", 3, 0.3, None, "accuracy 0.400 after a mean of 0.750", suspect_at=2)


@pytest.mark.parametrize(("accuracy", "in_a_row"), [(0.124, 2), (0.5 * math.exp(-math.log(4)), 2), (0.126, 3)])
def test_two_are_enough_where_fewer_answers_are_right_than_half_of_those_that_guessing_gives(
    alarm: Any, window_of: Any, vitals: Any, accuracy: float, in_a_row: int
) -> None:
    window = window_of([vitals(accuracy=0.75)] * 10)
    # Four classes.
    now = vitals(accuracy=accuracy, outputs=None)
    assert alarm("accuracy_drop", now, window, chance_loss=math.log(4)).collapse_at == in_a_row


@pytest.mark.parametrize(("information", "accuracy", "in_a_row"), [(0.4, 0.2, 3), (0.41, 0.2, 6), (0.41, 0.1, 2)])
def test_six_are_asked_for_where_the_answers_say_as_much_as_ever_and_are_no_worse_than_guessed(
    alarm: Any, window_of: Any, vitals: Any, information: float, accuracy: float, in_a_row: int
) -> None:
    now = vitals(accuracy=accuracy, outputs=Outputs(information, 1.0, 0.4))
    assert alarm("accuracy_drop", now, window_of([vitals(accuracy=0.75)] * 10), chance_loss=math.log(4)).collapse_at == in_a_row
