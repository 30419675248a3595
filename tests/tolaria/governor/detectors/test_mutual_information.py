"""A quarter of what answers usually say of their inputs is the border, and half of it contradicts a loss."""

import math
from typing import Any

import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.mutual_information import contradicted, patience
from tolaria.governor.verdict import Alarm
from tolaria.vitals import Outputs

LIMITS = Limits(GovernorConfig(), 1.0, 1.5, 1.0)


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


@pytest.mark.parametrize(("information", "doubted"), [(0.39, False), (0.4, False), (0.41, True)])
def test_half_of_the_usual_information_is_the_border(vitals: Any, window_of: Any, information: float, doubted: bool) -> None:
    now, window = vitals(1.2, outputs=answers(information)), window_of([vitals()] * 10)
    assert contradicted(now, window, LIMITS) == doubted
    assert patience(3, now, window, LIMITS) == (6 if doubted else 3)


@pytest.mark.parametrize(
    ("losses", "in_a_row"),
    [
        pytest.param((6.0, 6.0, 6.0), 6, id="all are as high"),
        pytest.param((16.0, 1.0, 1.0), 6, id="the mean is"),
        pytest.param((16.0, 1.0, 1.01), 3, id="it is higher by the last"),
        pytest.param((16.01, 1.0, 1.0), 3, id="it is higher by the first"),
        pytest.param((99.0, 6.0, 6.0, 6.0), 6, id="what was earlier does not count"),
        pytest.param((math.nan, 1.0, 1.0), 3, id="one was no number"),
        pytest.param((1.0, 1.0, math.nan), 3, id="nor is this"),
    ],
)
def test_nobody_waits_for_a_host_whose_latest_losses_are_above_three_times_the_prior_one_in_the_mean(
    vitals: Any, window_of: Any, losses: tuple[float, ...], in_a_row: int
) -> None:
    *before, loss = losses
    window = window_of([vitals()] * 10, [vitals(one) for one in before])
    assert patience(3, vitals(loss), window, Limits(GovernorConfig(), 1.0, 1.5, 2.0)) == in_a_row


def test_where_one_would_be_a_collapse_only_this_loss_counts(vitals: Any, window_of: Any) -> None:
    assert patience(1, vitals(3.0), window_of([vitals()] * 10, [vitals(9.0)]), LIMITS) == 2
    assert patience(1, vitals(3.1), window_of([vitals()] * 10), LIMITS) == 1


@pytest.mark.parametrize("loss", [0.3, 50.0])
def test_what_the_answers_say_is_told_whatever_has_become_of_the_loss(vitals: Any, window_of: Any, loss: float) -> None:
    assert contradicted(vitals(loss), window_of([vitals()] * 10), LIMITS)


@pytest.mark.parametrize("looks", [9, 0])
def test_answers_that_are_not_known_well_enough_contradict_nothing(vitals: Any, window_of: Any, looks: int) -> None:
    window = window_of([vitals()] * looks + [vitals(outputs=None)] * (12 - looks))
    assert not contradicted(vitals(1.2), window, LIMITS)


def test_answers_that_never_said_anything_contradict_nothing(vitals: Any, window_of: Any) -> None:
    assert not contradicted(vitals(outputs=answers(0.05)), window_of([vitals(outputs=answers(0.05))] * 10), LIMITS)
    assert contradicted(vitals(outputs=answers(0.06)), window_of([vitals(outputs=answers(0.06))] * 10), LIMITS)
