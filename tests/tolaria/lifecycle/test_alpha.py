import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.lifecycle.alpha import STEEPNESS, Curve, Ramp, shape

CURVES = pytest.mark.parametrize("curve", Curve)
UNIT = st.floats(0.0, 1.0)


def closed_form(curve: Curve, t: float) -> float:
    """The curves as the literature writes them: the sigmoid is the logistic function, shifted and scaled to [0, 1]."""

    def logistic(x: float) -> float:
        return 1.0 / (1.0 + math.exp(-x))

    if curve is Curve.LINEAR:
        return t
    if curve is Curve.COSINE:
        return (1.0 - math.cos(math.pi * t)) / 2.0
    k = {Curve.SIGMOID_GENTLE: 6.0, Curve.SIGMOID: 12.0, Curve.SIGMOID_SHARP: 24.0}[curve]
    low, high = logistic(-k / 2.0), logistic(k / 2.0)
    return (logistic(k * (t - 0.5)) - low) / (high - low)


def tick(ramp: Ramp, times: int) -> Ramp:
    for _ in range(times):
        ramp = ramp.ticked()
    return ramp


@CURVES
def test_a_curve_is_exactly_nought_at_nought_and_one_at_one(curve: Curve) -> None:
    assert (shape(curve, 0.0), shape(curve, 1.0)) == (0.0, 1.0)


@CURVES
def test_a_curve_is_a_half_in_the_middle(curve: Curve) -> None:
    assert shape(curve, 0.5) == pytest.approx(0.5, abs=1e-15)


@CURVES
@given(one=UNIT, other=UNIT)
def test_a_curve_is_monotone_and_stays_between_nought_and_one(curve: Curve, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= shape(curve, low) <= shape(curve, high) <= 1.0


@CURVES
@given(t=UNIT)
def test_a_curve_is_its_closed_form(curve: Curve, t: float) -> None:
    assert shape(curve, t) == pytest.approx(closed_form(curve, t), abs=1e-12)


def test_the_curves_differ() -> None:
    quarters = {curve: round(shape(curve, 0.25), 4) for curve in Curve}
    assert quarters == {"linear": 0.25, "cosine": 0.1464, "sigmoid_gentle": 0.1491, "sigmoid": 0.0452, "sigmoid_sharp": 0.0025}


def test_the_sharpest_sigmoid_neither_overflows_nor_warns() -> None:
    assert STEEPNESS[Curve.SIGMOID_SHARP] == 24.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = [shape(Curve.SIGMOID_SHARP, i / 1000) for i in range(1001)]
    assert all(math.isfinite(value) for value in values)


@pytest.mark.parametrize("progress", [-0.01, 1.01, math.nan])
def test_progress_beyond_the_ramp_is_a_mistake(progress: float) -> None:
    with pytest.raises(AssertionError):
        shape(Curve.LINEAR, progress)


@given(start=UNIT, target=UNIT, steps=st.integers(1, 12), curve=st.sampled_from(Curve), ticks=st.integers(0, 15))
def test_alpha_follows_the_closed_form(start: float, target: float, steps: int, curve: Curve, ticks: int) -> None:
    ramp = tick(Ramp(start, target, steps, 0, curve), ticks)
    expected = start + (target - start) * closed_form(curve, min(1.0, ticks / steps))
    assert ramp.alpha == pytest.approx(expected, abs=1e-12)


@given(start=UNIT, target=UNIT, steps=st.integers(0, 12), curve=st.sampled_from(Curve))
def test_alpha_moves_monotonically_and_ends_exactly_at_its_target(start: float, target: float, steps: int, curve: Curve) -> None:
    ramp = Ramp(start, target, steps, 0, curve)
    alphas = [tick(ramp, i).alpha for i in range(steps + 1)]
    assert alphas == sorted(alphas, reverse=target < start)
    assert alphas[-1] == target
    assert tick(ramp, steps).finished


@given(start=UNIT, target=UNIT, steps=st.integers(1, 12), curve=st.sampled_from(Curve))
def test_a_ramp_takes_exactly_its_steps(start: float, target: float, steps: int, curve: Curve) -> None:
    assert not tick(Ramp(start, target, steps, 0, curve), steps - 1).finished


@given(start=UNIT, target=UNIT, again=UNIT, steps=st.integers(1, 12), ticks=st.integers(0, 12), curve=st.sampled_from(Curve))
def test_a_retargeted_ramp_begins_where_the_old_one_stood(
    start: float, target: float, again: float, steps: int, ticks: int, curve: Curve
) -> None:
    ramp = tick(Ramp(start, target, steps, 0, curve), ticks)
    assert ramp.retargeted(again, 3, Curve.LINEAR).alpha == ramp.alpha
    assert tick(ramp.retargeted(again, 3, Curve.LINEAR), 3).alpha == again


def test_a_retarget_in_no_steps_jumps() -> None:
    ramp = Ramp(0.0, 1.0, 4).retargeted(0.7, 0, Curve.COSINE)
    assert (ramp.alpha, ramp.finished) == (0.7, True)


def test_a_finished_ramp_ticks_no_further() -> None:
    ramp = Ramp(0.0, 1.0, 2, 2)
    assert ramp.ticked() == ramp


@pytest.mark.parametrize(
    "numbers",
    [(-0.1, 1.0, 1, 0), (1.1, 1.0, 1, 0), (0.0, 1.1, 1, 0), (0.0, -0.1, 1, 0), (math.nan, 1.0, 1, 0), (0.0, 1.0, 1, 2), (0.0, 1.0, 1, -1)],
)
def test_an_impossible_ramp_is_a_mistake(numbers: tuple[float, float, int, int]) -> None:
    with pytest.raises(AssertionError):
        Ramp(*numbers)


def test_a_ramp_that_was_never_asked_for_stands_at_nought() -> None:
    assert Ramp() == Ramp(start=0.0, target=0.0, steps_total=0, steps_done=0, curve=Curve.LINEAR)
    assert (Ramp().alpha, Ramp().finished) == (0.0, True)
