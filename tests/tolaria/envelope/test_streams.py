import math
from itertools import islice

import pytest

from tolaria.envelope.streams import NoisePool, Stream, record, resampled
from tolaria.seeding import stream
from tolaria.vitals import Vitals


def made(losses: list[float]) -> Stream:
    return Stream("spirals", 0, 0, tuple(Vitals(step, loss, loss, 0.5, 1.0) for step, loss in enumerate(losses)))


def test_noise_is_what_a_median_of_nine_leaves() -> None:
    one = made([1.0] * 10 + [math.e] + [1.0] * 10)
    assert [round(amount, 6) for amount in one.noise] == [0.0] * 10 + [1.0] + [0.0] * 10
    assert one.levels[0] == pytest.approx(1.0 / math.log(3))


def test_noise_comes_from_where_the_level_was_alike() -> None:
    quiet, noisy = made([1.0] * 60), made([0.01, 0.02] * 30)
    pool = NoisePool([quiet, noisy])
    rng = stream(0, "noise")
    assert set(pool.draw([0.9] * 30, rng)) == {0.0}
    assert any(pool.draw([0.01] * 30, rng))


def test_resampled_streams_keep_the_trend_and_are_as_long() -> None:
    (one,) = islice(resampled([made([0.5, 0.6] * 40)], stream(0, "again")), 1)
    assert len(one.vitals) == 80
    assert all(0.4 < vitals.val_loss < 0.75 for vitals in one.vitals)


def test_real_runs_are_recorded_with_what_their_predictions_look_like() -> None:
    streams = list(record("spirals", [0], steps=6, batches=1))
    assert [(one.env, len(one.vitals)) for one in streams] == [(0, 3), (0, 3), (1, 3), (1, 3)]
    assert all(vitals.outputs is not None for one in streams for vitals in one.vitals)
