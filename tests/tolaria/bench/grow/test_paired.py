import math

import pytest

from tolaria.bench.grow.paired import Interval, interval, paired


def test_an_interval_is_that_of_student() -> None:
    # Mean 2, deviation 1, and t of .975 with 2 degrees of freedom is 4.3027: 4.3027 / sqrt(3) = 2.4841.
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == (2.0, pytest.approx(-0.4841, abs=1e-4), pytest.approx(4.4841, abs=1e-4))


def test_one_value_says_nothing_of_others() -> None:
    assert interval([1.0]) == Interval(1.0, -math.inf, math.inf)


def test_pairs_are_compared_with_each_other_and_not_all_with_all() -> None:
    found = paired([0.5, 0.7, 0.9], [0.4, 0.6, 0.8])
    assert found.mean == pytest.approx(0.1)
    assert found.high - found.low == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="zip"):
        paired([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.01, 0.2, "better"), (-0.2, -0.01, "worse"), (-0.1, 0.2, "unclear"), (0.0, 0.0, "unclear")]
)
def test_a_verdict_needs_an_interval_without_zero(low: float, high: float, verdict: str) -> None:
    assert Interval((low + high) / 2, low, high).verdict == verdict
