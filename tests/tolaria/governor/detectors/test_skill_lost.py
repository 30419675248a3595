"""Below 0.6 of the prior loss there was a skill, above 0.9 there is none."""

import math
from typing import Any

import pytest

from tolaria.governor.verdict import Alarm


@pytest.mark.parametrize(("loss", "noticed"), [(1.79, False), (1.8, False), (1.81, True)])
def test_nine_tenths_of_the_prior_loss_is_the_border(alarm: Any, window_of: Any, vitals: Any, loss: float, noticed: bool) -> None:
    assert (alarm("skill_lost", vitals(loss), window_of([vitals(0.3)] * 10), prior_loss=2.0) is not None) == noticed


@pytest.mark.parametrize(("usual", "noticed"), [(1.19, True), (1.2, False), (1.21, False)])
def test_six_tenths_of_the_prior_loss_is_a_skill(alarm: Any, window_of: Any, vitals: Any, usual: float, noticed: bool) -> None:
    assert (alarm("skill_lost", vitals(5.0), window_of([vitals(usual)] * 10), prior_loss=2.0) is not None) == noticed


def test_the_mean_is_that_of_the_last_ten_steps(alarm: Any, window_of: Any, vitals: Any) -> None:
    losses = [0.1] * 3 + [0.8] * 5 + [0.41] * 5
    assert alarm("skill_lost", vitals(5.0), window_of(map(vitals, losses))) is None
    losses[-1] = 0.3
    assert alarm("skill_lost", vitals(5.0), window_of(map(vitals, losses))) is not None


def test_ten_steps_are_enough_and_nine_are_not(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("skill_lost", vitals(5.0), window_of([vitals()] * 10)) is not None
    assert alarm("skill_lost", vitals(5.0), window_of([vitals()] * 9)) is None


def test_three_in_a_row_are_a_collapse_two_a_suspicion_and_one_says_nothing(alarm: Any, window_of: Any, vitals: Any) -> None:
    found = alarm("skill_lost", vitals(1.5), window_of([vitals(0.25)] * 10))
    assert found == Alarm("skill_lost", 3, 1.5, 0.9, "loss 1.5 above 0.9 after a mean of 0.25", suspect_at=2)


@pytest.mark.parametrize(
    ("before", "first", "loss", "in_a_row"),
    [
        pytest.param(0.21, 1.01, 1.01, 2, id="it had doubled, and then went ten times as far"),
        pytest.param(0.19, 1.01, 1.01, 3, id="it had not doubled before"),
        pytest.param(0.21, 0.99, 5.0, 3, id="the first did not go ten times as far"),
        pytest.param(0.21, 5.0, 0.99, 3, id="the second did not"),
    ],
)
def test_two_are_enough_where_the_loss_had_begun_to_grow_and_went_far(
    alarm: Any, window_of: Any, vitals: Any, before: float, first: float, loss: float, in_a_row: int
) -> None:
    window = window_of([vitals(0.1)] * 12, [vitals(before), vitals(first)])
    assert alarm("skill_lost", vitals(loss), window).collapse_at == in_a_row


def test_two_are_not_enough_after_a_loss_that_was_no_number(alarm: Any, window_of: Any, vitals: Any) -> None:
    window = window_of([vitals(0.1)] * 12, [vitals(math.nan), vitals(5.0)])
    assert alarm("skill_lost", vitals(5.0), window).collapse_at == 3


@pytest.mark.parametrize(("loss", "noticed"), [(1.179, False), (1.181, True)])
def test_half_as_high_again_is_what_a_blend_may_do_to_a_host_that_was_never_far_below(
    alarm: Any, window_of: Any, vitals: Any, loss: float, noticed: bool
) -> None:
    assert (alarm("skill_lost", vitals(loss), window_of([vitals(0.59)] * 10), prior_loss=1.0) is not None) == noticed
