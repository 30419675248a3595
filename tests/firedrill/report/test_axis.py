import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firedrill.report.axis import Axis, short, step_axis, value_axis, whole_ticks


def test_a_linear_axis_places_the_middle_in_the_middle() -> None:
    assert Axis(2.0, 4.0, 100.0, 0.0).place(3.0) == 50.0


def test_a_logarithmic_axis_places_the_geometric_middle_in_the_middle() -> None:
    assert Axis(0.01, 100.0, 0.0, 80.0, log=True).place(1.0) == 40.0


@pytest.mark.parametrize(("values", "log"), [([1.0, 49.0], False), ([1.0, 50.0], True), ([0.0, 1000.0], False), ([-1.0, 1000.0], False)])
def test_an_axis_is_logarithmic_only_for_positive_values_of_a_wide_range(values: list[float], log: bool) -> None:
    assert value_axis(values, 0, 1).log is log


def test_ticks_are_round() -> None:
    assert Axis(0.0, 0.72, 0, 1).ticks() == (0.0, 0.2, 0.4, 0.6)
    assert Axis(0.1, 0.35, 0, 1).ticks() == (0.1, 0.15, 0.2, 0.25, 0.3, 0.35)
    assert Axis(0.05, 2e4, 0, 1, log=True).ticks() == (1.0, 100.0, 10000.0)


def test_steps_have_whole_ticks_and_half_a_step_of_air() -> None:
    axis = step_axis(range(3), 0, 30)
    assert (axis.low, axis.high, axis.place(0)) == (-0.5, 2.5, 5.0)
    assert whole_ticks(axis) == (0, 1, 2)


def test_an_axis_without_values_is_from_nought_to_one() -> None:
    assert value_axis([], 0, 1) == Axis(0.0, 1.0, 0, 1)


def test_numbers_on_ticks_are_short() -> None:
    assert [short(value) for value in (0.05, 0.30000000000000004, 300.0, 1e6)] == ["0.05", "0.3", "300", "1e+06"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_every_finite_value_has_a_place_between_the_ends(values: list[float]) -> None:
    axis = value_axis(values, 0.0, 100.0)
    assert all(-0.01 <= axis.place(value) <= 100.01 for value in values)
    assert all(math.isfinite(axis.place(tick)) for tick in axis.ticks())
    assert len(axis.ticks()) <= 24
