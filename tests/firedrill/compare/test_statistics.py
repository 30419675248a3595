import math

import numpy as np
import pytest

from firedrill.compare.statistics import adjusted, fisher, interquartile_mean, mean_difference, ratio, strayed, wilcoxon, wilson


def test_the_interquartile_mean_leaves_out_a_quarter_on_either_side() -> None:
    assert interquartile_mean(np.array([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -100.0])) == pytest.approx(3.5)


def test_a_difference_has_an_interval_around_it_and_the_same_one_twice() -> None:
    base = [float(seed) for seed in range(10)]
    head = [value + 1 + 0.1 * (seed % 3) for seed, value in enumerate(base)]
    found = mean_difference(base, head)
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(1.1, abs=0.05)
    assert mean_difference(base, head) == found


def test_wilcoxon_counts_all_assignments_of_signs() -> None:
    # All eight pairs on one side: 2 of 2^8 assignments.
    assert wilcoxon([0.0] * 8, [float(value) for value in range(1, 9)]) == pytest.approx(2 / 256)
    assert wilcoxon([1.0, 2.0], [1.0, 2.0]) == 1.0
    # Pairs that are equal say nothing.
    assert wilcoxon([0.0] * 9, [*map(float, range(1, 9)), 0.0]) == pytest.approx(2 / 256)


def test_wilson_knows_that_none_of_ten_is_not_never() -> None:
    found = wilson(0, 10)
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.2775, abs=1e-4)


def test_fisher_on_the_lady_and_her_tea() -> None:
    # Fisher 1935: 34/70 two-sided for three of four.
    assert fisher((3, 4), (1, 4)) == pytest.approx(34 / 70)


def test_p_values_are_adjusted_for_their_number() -> None:
    assert adjusted([0.01, 0.02, 0.04]) == pytest.approx((0.03, 0.03, 0.04))
    assert adjusted([]) == ()


def test_a_ratio_is_the_geometric_mean_of_the_middle_half() -> None:
    found = ratio([math.log(value) for value in (0.001, 2.0, 8.0, 9999.0)])
    assert found.value == pytest.approx(4.0)
    assert found.low < found.value < found.high
    same = ratio([math.log(1.3)] * 9)
    assert (same.value, same.low, same.high) == pytest.approx((1.3, 1.3, 1.3))


def test_straying_is_smaller_with_more_pairs_and_hardly_moved_by_one_that_is_lost() -> None:
    rng = np.random.default_rng(1)
    differences = list(rng.normal(0.0, 0.1, size=200))
    few, many = strayed(differences, 16), strayed(differences, 64)
    # A mean of 16 strays by a quarter, and the middle half of it a little more.
    assert 0.02 < few < 0.04
    assert many == pytest.approx(few / 2, rel=0.15)
    assert strayed([*differences, 50.0], 16) < 1.2 * few
