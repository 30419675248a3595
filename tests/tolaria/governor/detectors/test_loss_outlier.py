"""Six robust deviations and twice the median, both; the threshold that is told is the one that decided."""

import math
from typing import Any

import pytest


@pytest.mark.parametrize(("loss", "noticed"), [(1.99, False), (2.0, False), (2.01, True)])
def test_where_losses_repeat_twice_the_median_is_the_border(alarm: Any, window_of: Any, vitals: Any, loss: float, noticed: bool) -> None:
    window = window_of([vitals(1.0)] * 10)
    assert (alarm("loss_outlier", vitals(loss), window) is not None) == noticed


@pytest.mark.parametrize(("loss", "noticed"), [(476.0, False), (477.0, True)])
def test_where_losses_vary_six_robust_deviations_are_the_border(
    alarm: Any, window_of: Any, vitals: Any, loss: float, noticed: bool
) -> None:
    # Logarithms of +-ln 2 have a median of 0 and a deviation of ln 2: the border is exp(6 ln 2 / 0.6745) = 476.5.
    window = window_of([vitals(0.5), vitals(2.0)] * 5)
    assert (alarm("loss_outlier", vitals(loss), window) is not None) == noticed


def test_as_many_robust_deviations_as_the_border_are_none_too_many(
    alarm: Any, window_of: Any, vitals: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deviations = 0.6745 * (math.log(3.0) - 0.0) / 0.01
    for border, noticed in ((deviations, False), (math.nextafter(deviations, 0.0), True)):
        monkeypatch.setattr("tolaria.governor.detectors.loss_outlier.Z_MAX", border)
        assert (alarm("loss_outlier", vitals(3.0), window_of([vitals(1.0)] * 10)) is not None) == noticed


def test_the_threshold_is_the_higher_of_both_borders(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("loss_outlier", vitals(9.0), window_of([vitals(1.0)] * 10)).threshold == pytest.approx(2.0)
    varying = window_of([vitals(0.5), vitals(2.0)] * 5)
    assert alarm("loss_outlier", vitals(900.0), varying).threshold == pytest.approx(math.exp(6.0 * math.log(2.0) / 0.6745))


def test_a_deviation_of_less_than_a_hundredth_is_not_believed(alarm: Any, window_of: Any, vitals: Any) -> None:
    # Twice the loss is a logarithm of 0.693 away: 46.8 deviations of a hundredth.
    found = alarm("loss_outlier", vitals(2.001), window_of([vitals(1.0)] * 10))
    assert found.evidence == "loss 2.001, 46.8 robust deviations above 1"


def test_losses_below_a_millionth_are_all_alike(alarm: Any, window_of: Any, vitals: Any) -> None:
    perfect = window_of([vitals(0.0)] * 10)
    assert alarm("loss_outlier", vitals(9e-7), perfect) is None
    assert alarm("loss_outlier", vitals(4e-6), perfect) is not None


def test_three_in_a_row_are_a_warning_and_never_a_collapse(alarm: Any, window_of: Any, vitals: Any) -> None:
    found = alarm("loss_outlier", vitals(3.0), window_of([vitals(1.0)] * 10))
    assert (found.cause, found.collapse_at, found.loss, found.suspect_at) == ("loss_outlier", None, 3.0, 3)


def test_ten_steps_are_enough_and_nine_are_not(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("loss_outlier", vitals(9.0), window_of([vitals()] * 10)) is not None
    assert alarm("loss_outlier", vitals(9.0), window_of([vitals()] * 9)) is None
