import math
from itertools import islice

import pytest

from tolaria.envelope.streams import RECIPES, NoisePool, Recipe, Stream, record, resampled, with_noise
from tolaria.lifecycle.seed import Blend
from tolaria.seeding import stream
from tolaria.vitals import Outputs, Vitals


def made(losses: list[float], information: float = 0.5) -> Stream:
    outputs = Outputs(information, 1.0, 0.4)
    return Stream("spirals", 0, 0, tuple(Vitals(step, loss, loss, 0.5, 1.0, outputs=outputs) for step, loss in enumerate(losses)))


def test_noise_is_what_a_median_of_nine_leaves() -> None:
    one = made([1.0] * 10 + [math.e] + [1.0] * 10)
    assert [round(float(amount), 6) for amount in one.noise[:, 0]] == [0.0] * 10 + [1.0] + [0.0] * 10
    assert one.levels[0] == pytest.approx(1.0 / math.log(3))


def test_noise_comes_from_where_the_level_was_alike() -> None:
    quiet, noisy = made([1.0] * 60), made([0.01, 0.02] * 30)
    pool = NoisePool([quiet, noisy])
    rng = stream(0, "noise")
    assert set(pool.at_level(0.9, 30, rng)[:, 0]) == {0.0}
    assert pool.at_level(0.01, 30, rng)[:, 0].any()


def test_blocks_are_alike_where_loss_and_answers_are() -> None:
    poor, good = made([1.0] * 200, information=0.01), made([1.0] * 200, information=0.9)
    pool = NoisePool([poor, good])
    # A stream of 200 steps holds 37 blocks, so all that are taken are of the one whose answers are like it.
    assert {int(block) // 37 for blocks in pool.alike(poor.trend) for block in blocks} == {0}
    assert {int(block) // 37 for blocks in pool.alike(good.trend) for block in blocks} == {1}


def test_the_own_noise_of_a_stream_gives_it_back() -> None:
    one = made([0.5, 0.6, 0.3] * 20, information=0.4)
    again = with_noise(one, one.noise)
    for was, now in zip(one.vitals, again, strict=True):
        assert was.outputs is not None
        assert now.outputs is not None
        assert now.val_loss == pytest.approx(was.val_loss)
        assert now.val_accuracy == pytest.approx(was.val_accuracy)
        assert now.outputs.mutual_information == pytest.approx(was.outputs.mutual_information)
        assert now.outputs.largest_share == pytest.approx(was.outputs.largest_share)


def test_a_beginning_has_the_noise_of_beginnings_and_the_rest_has_none_of_it() -> None:
    wild = made([9.0, 0.1] * 10 + [1.0] * 60)
    calm = made([1.0] * 80)
    for _, vitals in islice(resampled([wild, calm], stream(0, "beginnings")), 20):
        # A median of nine at the border leaves a little of the beginning in the first steps after it.
        assert all(one.val_loss == pytest.approx(1.0) for one in vitals[24:])
    found = [[round(one.val_loss, 6) for one in vitals[:20]] for _, vitals in islice(resampled([wild], stream(0, "own")), 5)]
    assert found == [[9.0, 0.1] * 10] * 5


def test_resampled_streams_keep_the_trend_and_are_as_long() -> None:
    ((task, vitals),) = islice(resampled([made([0.5, 0.6] * 40)], stream(0, "again")), 1)
    assert (task, len(vitals)) == ("spirals", 80)
    assert all(0.4 < one.val_loss < 0.75 for one in vitals)


def test_real_runs_are_recorded_with_what_their_predictions_look_like() -> None:
    streams = list(record(Recipe("spirals", batches=1), 0, steps=6))
    assert [(one.env, len(one.vitals)) for one in streams] == [(0, 3), (0, 3), (1, 3), (1, 3)]
    assert all(vitals.outputs is not None for one in streams for vitals in one.vitals)


def test_recipes_differ_in_task_optimizer_learning_rate_and_blend() -> None:
    assert {recipe.task for recipe in RECIPES} == {"spirals", "digits", "digits_impaired"}
    assert {recipe.optimizer for recipe in RECIPES} == {"sgd", "adam"}
    assert {recipe.rate for recipe in RECIPES if (recipe.task, recipe.optimizer) == ("spirals", "sgd")} == {None, 0.03, 0.3}
    assert {recipe.blend for recipe in RECIPES} == {Blend.ADD, Blend.MULTIPLY}
