"""A quarter of what answers usually say of their inputs is the border."""

from typing import Any

import pytest

from tolaria.governor.verdict import Alarm
from tolaria.vitals import Outputs


def answers(information: float) -> Outputs:
    return Outputs(information, 1.0, 0.4)


@pytest.mark.parametrize(("information", "noticed"), [(0.19, True), (0.2, False), (0.21, False)])
def test_a_quarter_of_the_median_is_the_border(alarm: Any, window_of: Any, vitals: Any, information: float, noticed: bool) -> None:
    window = window_of([vitals(outputs=answers(usual)) for usual in [0.1] * 4 + [0.8] * 7])
    assert (alarm("mutual_information", vitals(outputs=answers(information)), window) is not None) == noticed


@pytest.mark.parametrize(("usual", "noticed"), [(0.05, False), (0.051, True)])
def test_who_never_said_a_twentieth_of_chance_has_nothing_to_lose(
    alarm: Any, window_of: Any, vitals: Any, usual: float, noticed: bool
) -> None:
    window = window_of([vitals(outputs=answers(usual))] * 10)
    assert (alarm("mutual_information", vitals(outputs=answers(0.0)), window) is not None) == noticed


def test_ten_looks_at_the_answers_are_enough_and_nine_are_not(alarm: Any, window_of: Any, vitals: Any) -> None:
    now = vitals(outputs=answers(0.0))
    assert alarm("mutual_information", now, window_of([vitals()] * 10)) is not None
    assert alarm("mutual_information", now, window_of([vitals()] * 9 + [vitals(outputs=None)] * 5)) is None


def test_a_step_whose_answers_nobody_saw_is_no_alarm(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("mutual_information", vitals(outputs=None), window_of([vitals()] * 12)) is None


def test_four_in_a_row_are_a_collapse_three_a_suspicion_and_two_say_nothing(alarm: Any, window_of: Any, vitals: Any) -> None:
    found = alarm("mutual_information", vitals(outputs=answers(0.1)), window_of([vitals()] * 10))
    assert found == Alarm("mutual_information", 4, 0.3, None, "answers say 0.1000 nats of inputs, usually 0.8000", suspect_at=3)


@pytest.mark.parametrize(
    ("loss", "information", "in_a_row"),
    [(0.76, 0.1, 2), (0.75, 0.1, 4), (0.74, 0.1, 4), (0.5, 0.0624, 2), (0.5, 0.0625, 4), (0.5, 0.0626, 4)],
    ids=["the loss has risen by half", "by half just not", "by less", "less than a tenth is left", "a tenth", "more"],
)
def test_two_are_enough_where_nothing_is_left_or_the_loss_has_risen(
    alarm: Any, window_of: Any, vitals: Any, loss: float, information: float, in_a_row: int
) -> None:
    # The mean of the last ten losses is half a nat, and the answers usually say 0.625 nats.
    window = window_of([vitals(one, outputs=answers(0.625)) for one in [9.0] * 3 + [0.25, 0.75] * 5])
    found = alarm("mutual_information", vitals(loss, outputs=answers(information)), window)
    assert (found.collapse_at, found.suspect_at) == (in_a_row, min(in_a_row, 3))


def test_what_counts_as_nothing_to_lose_grows_with_chance(alarm: Any, window_of: Any, vitals: Any) -> None:
    now = vitals(outputs=answers(0.0))
    assert alarm("mutual_information", now, window_of([vitals(outputs=answers(0.1))] * 10), chance_loss=2.0) is None
    assert alarm("mutual_information", now, window_of([vitals(outputs=answers(0.11))] * 10), chance_loss=2.0) is not None
