"""The level of ten losses against the best one of this life."""

import math
from typing import Any

import pytest

from tolaria.governor.verdict import Alarm


@pytest.mark.parametrize(("best", "threshold"), [(0.5, 1.0), (0.125, 0.375)], ids=["twice the best", "a quarter of chance above it"])
def test_the_higher_of_both_rises_is_the_threshold(alarm: Any, window_of: Any, vitals: Any, best: float, threshold: float) -> None:
    clean = [vitals(best)] * 10
    assert alarm("slow_drift", vitals(threshold + 0.01), window_of(clean, [vitals(threshold + 0.01)] * 9)).threshold == threshold
    assert alarm("slow_drift", vitals(threshold), window_of(clean, [vitals(threshold + 0.01)] * 9)) is None
    assert alarm("slow_drift", vitals(threshold + 0.01), window_of(clean, [vitals(threshold)] * 9)) is None


@pytest.mark.parametrize(("high", "noticed"), [(4, False), (5, True)])
def test_six_high_losses_out_of_ten_with_this_one_are_a_level(alarm: Any, window_of: Any, vitals: Any, high: int, noticed: bool) -> None:
    window = window_of([vitals(0.5)] * 10, [vitals(1.2)] * high)
    assert (alarm("slow_drift", vitals(1.2), window) is not None) == noticed


def test_only_the_last_ten_losses_are_the_level(alarm: Any, window_of: Any, vitals: Any) -> None:
    window = window_of([vitals(0.5)] * 10, [vitals(1.2)] * 6 + [vitals(0.6)] * 5)
    assert alarm("slow_drift", vitals(1.2), window) is None


def test_a_loss_that_is_no_number_leaves_too_few_for_a_level(alarm: Any, window_of: Any, vitals: Any) -> None:
    window = window_of([vitals(0.5)] * 10, [vitals(math.nan)] + [vitals(1.2)] * 8)
    assert alarm("slow_drift", vitals(1.2), window) is None


def test_a_life_of_less_than_ten_clean_steps_has_no_best_level(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("slow_drift", vitals(9.0), window_of([vitals(0.1)] * 9, [vitals(9.0)] * 9)) is None


@pytest.mark.parametrize(("highest", "strikes"), [(2.39, 4), (2.4, 8), (2.41, 8)])
def test_losses_that_leap_by_more_than_two_need_twice_as_many_strikes(
    alarm: Any, window_of: Any, vitals: Any, highest: float, strikes: int
) -> None:
    flagged = [vitals(loss) for loss in (9.0, 9.0, 9.0, 9.0, 9.0, 1.2, highest, 1.2, 1.2)]
    assert alarm("slow_drift", vitals(1.2), window_of([vitals(0.5)] * 10, flagged), strikes=4).collapse_at == strikes


def test_it_is_a_collapse_after_as_many_strikes_as_an_explosion(alarm: Any, window_of: Any, vitals: Any) -> None:
    found = alarm("slow_drift", vitals(1.5), window_of([vitals(0.5)] * 10, [vitals(1.25)] * 9), strikes=4)
    assert found == Alarm("slow_drift", 4, 1.5, 1.0, "level 1.25 above 1, the best of this life was 0.5")


def test_the_rise_above_the_best_level_grows_with_chance(alarm: Any, window_of: Any, vitals: Any) -> None:
    window = window_of([vitals(0.125)] * 10, [vitals(0.7)] * 9)
    assert alarm("slow_drift", vitals(0.7), window, chance_loss=2.0).threshold == 0.625
