"""What is worked out once must be what it would be, worked out every time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.governor.clean import Clean, Reading, Statistics
from tolaria.vitals import Outputs


def clean(*losses: float) -> Clean:
    return Clean([Reading(loss, loss / 100.0, Outputs(loss, 1.0, 0.5)) for loss in losses])


def test_statistics_are_the_mean_and_the_population_deviation() -> None:
    assert clean(1.0, 2.0, 3.0, 6.0).statistics == Statistics(3.0, math.sqrt(3.5), 4)
    assert clean().statistics is None


def test_medians_are_those_of_all_readings_and_the_level_that_of_ten() -> None:
    found = clean(9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, *[1.0, 2.0] * 5)
    assert (found.median_loss, found.median_information, found.level) == (2.0, 2.0, 1.5)
    assert clean(*[1.0] * 9).level is None


def test_outputs_are_those_that_somebody_looked_at() -> None:
    assert Clean([Reading(1.0, 0.5, None), Reading(1.0, 0.5, Outputs(0.1, 1.0, 0.5))]).outputs == (Outputs(0.1, 1.0, 0.5),)


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=20))
def test_asking_twice_gives_the_same_bits(losses: list[float]) -> None:
    found = clean(*losses)
    assert (found.statistics, found.median_loss) == (found.statistics, found.median_loss)
    assert found.statistics == clean(*losses).statistics


def test_nothing_of_it_can_be_out_of_date() -> None:
    with pytest.raises(AttributeError):
        clean(1.0).readings.append(None)
