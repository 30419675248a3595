"""Below 0.6 of the prior loss there was a skill, above 0.9 there is none."""

import math
from typing import Any

import pytest

from tolaria.governor.verdict import Alarm
from tolaria.vitals import Outputs, Vitals


def unseen(vitals: Any, loss: float) -> Vitals:
    """A step of whose answers nothing is known."""
    found: Vitals = vitals(loss, outputs=None)
    return found


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
    found = alarm("skill_lost", unseen(vitals, 1.5), window_of([vitals(0.25)] * 10))
    assert found == Alarm("skill_lost", 3, 1.5, 0.9, "loss 1.5 above 0.9 after a mean of 0.25", suspect_at=2)


@pytest.mark.parametrize(
    ("information", "in_a_row"),
    [(0.41, 6), (0.4, 3), (0.39, 3)],
    ids=["more than half of the usual", "half of it", "less"],
)
def test_six_are_asked_for_where_the_answers_say_as_much_as_ever(
    alarm: Any, window_of: Any, vitals: Any, information: float, in_a_row: int
) -> None:
    now = vitals(1.2, outputs=Outputs(information, 1.0, 0.4))
    assert alarm("skill_lost", now, window_of([vitals()] * 10)).collapse_at == in_a_row


@pytest.mark.parametrize(("loss", "in_a_row"), [(6.0, 6), (6.01, 3)])
def test_a_loss_three_times_as_high_as_that_of_knowing_nothing_is_believed_whatever_the_answers_say(
    alarm: Any, window_of: Any, vitals: Any, loss: float, in_a_row: int
) -> None:
    window = window_of([vitals()] * 12, [vitals(6.1), vitals(5.9)])
    assert alarm("skill_lost", vitals(loss), window, prior_loss=2.0).collapse_at == in_a_row


@pytest.mark.parametrize("looks", [9, 0])
def test_where_the_answers_are_not_known_well_enough_three_are_a_collapse(alarm: Any, window_of: Any, vitals: Any, looks: int) -> None:
    window = window_of([vitals()] * looks + [unseen(vitals, 0.3)] * (12 - looks))
    assert alarm("skill_lost", vitals(1.2), window).collapse_at == 3


# Twelve losses without a trend, then six that grow.
USUAL = [0.1] * 12
GROWN = [0.11, 0.12, 0.13, 0.14, 0.15, 0.2]


@pytest.mark.parametrize(
    ("grown", "pair", "in_a_row"),
    [
        pytest.param(GROWN, (0.91, 0.92), 2, id="it grew in order and out of reach"),
        pytest.param([*GROWN[:5], 0.31], (0.91, 0.95), 3, id="the highest before is within reach of the first"),
        pytest.param([*GROWN[:5], 0.31], (0.95, 0.91), 3, id="and of the second"),
        pytest.param([*GROWN[:5], 0.3125], (0.9375, 0.95), 3, id="three times the highest before is within reach"),
        pytest.param([*GROWN[:5], 0.26], (0.91, 0.92), 2, id="three and a half times is out of it"),
        pytest.param([0.2, *GROWN[1:5], 0.2], (0.91, 0.92), 3, id="five pairs do not rise"),
        pytest.param([0.145, *GROWN[1:]], (0.92, 0.91), 2, id="four pairs do not rise"),
        pytest.param([0.1] * 6, (0.91, 0.92), 3, id="it comes at once"),
    ],
)
def test_two_are_enough_where_the_loss_grew_there_in_order_and_out_of_reach(
    alarm: Any, window_of: Any, vitals: Any, grown: list[float], pair: tuple[float, float], in_a_row: int
) -> None:
    first, loss = pair
    window = window_of([vitals(one) for one in USUAL], [vitals(one) for one in (*grown, first)])
    assert alarm("skill_lost", unseen(vitals, loss), window).collapse_at == in_a_row


@pytest.mark.parametrize(
    ("latest", "in_a_row"),
    [
        pytest.param((4.3, 4.51), 2, id="with the last before they are above three times the prior loss"),
        pytest.param((4.3, 4.49), 6, id="they are not"),
        pytest.param((0.91, 0.92, 0.93), 3, id="a third that grew"),
        pytest.param((0.64, 0.65, 0.91), 3, id="it is as far out of reach as the others, however low they are"),
        pytest.param((0.59, 0.65, 0.91), 6, id="the first of three is within reach"),
        pytest.param((math.nan, 0.92, 0.93), 3, id="one is no number, and so too high"),
    ],
)
def test_a_loss_that_grew_while_the_answers_say_as_much_as_ever_must_be_far_above_or_stay_for_a_third_step(
    alarm: Any, window_of: Any, vitals: Any, latest: tuple[float, ...], in_a_row: int
) -> None:
    *flagged, loss = latest
    window = window_of([vitals(one) for one in USUAL], [vitals(one) for one in (*GROWN, *flagged)])
    assert alarm("skill_lost", vitals(loss), window).collapse_at == in_a_row


def test_two_are_not_enough_where_a_loss_was_no_number(alarm: Any, window_of: Any, vitals: Any) -> None:
    window = window_of([vitals(one) for one in USUAL], [vitals(one) for one in (math.nan, *GROWN, 0.91)])
    assert alarm("skill_lost", unseen(vitals, 0.92), window).collapse_at == 3


@pytest.mark.parametrize(("loss", "noticed"), [(1.179, False), (1.18, False), (1.181, True)])
def test_half_as_high_again_is_what_a_blend_may_do_to_a_host_that_was_never_far_below(
    alarm: Any, window_of: Any, vitals: Any, loss: float, noticed: bool
) -> None:
    assert (alarm("skill_lost", vitals(loss), window_of([vitals(0.59)] * 10), prior_loss=1.0) is not None) == noticed
