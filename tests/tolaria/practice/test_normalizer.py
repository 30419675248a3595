import numpy as np
import pytest

from tolaria.practice.normalizer import ObservationNormalizer

ROWS = np.random.default_rng(0).normal(3.0, 5.0, (60, 4)).astype(np.float32)


def test_mean_and_spread_are_those_of_all_rows_however_they_came() -> None:
    normalizer = ObservationNormalizer(4)
    for part in np.split(ROWS, [1, 7, 40]):
        normalizer.observe(part)
    assert normalizer.mean == pytest.approx(ROWS.mean(axis=0, dtype=np.float64))
    assert normalizer.variance == pytest.approx(ROWS.var(axis=0, dtype=np.float64))


def test_before_the_first_row_nothing_is_changed() -> None:
    assert ObservationNormalizer(4).apply(ROWS[:1] / 10.0) == pytest.approx(ROWS[:1] / 10.0)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_broken_rows_are_not_counted(broken: float) -> None:
    healthy, struck = ObservationNormalizer(4), ObservationNormalizer(4)
    healthy.observe(ROWS)
    bad = ROWS[:2].copy()
    bad[:, 1] = broken
    struck.observe(np.concatenate([ROWS, bad]))
    struck.observe(bad)
    assert (struck.mean == healthy.mean).all()
    assert (struck.variance == healthy.variance).all()


def test_a_feature_that_never_changes_stays_within_bounds() -> None:
    normalizer = ObservationNormalizer(1)
    normalizer.observe(np.full((5, 1), 2.0, dtype=np.float32))
    assert normalizer.apply(np.array([[2.0], [3.0]], dtype=np.float32)).tolist() == [[0.0], [10.0]]
