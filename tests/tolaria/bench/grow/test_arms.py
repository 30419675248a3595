from dataclasses import replace

import pytest
import torch

from tolaria.bench.grow.arms import LARGE, PATIENCE, SMALL, Plan, best_schedule, grow, hold, teach

PLAN = Plan("spirals_impaired", steps=14, batches_per_step=2, envs=2, updates=2, warm_start=2)
# Of a batch of 32: 2 x 8, 8 x 8 and 8 x 3, forward and backward.
SMALL_BATCH = 32 * (2 * 16 + 3 * 64 + 3 * 24)


def test_every_arm_meets_the_same_host_and_the_same_batches() -> None:
    waited = grow(PLAN, "noop", 5)
    held = hold(PLAN, SMALL, 5, budget=0)
    assert held.test_accuracy == waited.test_accuracy
    assert held.macs == waited.macs == 14 * 2 * SMALL_BATCH
    assert held.reward == pytest.approx(waited.reward)


def test_a_small_host_is_trained_ten_times_as_long_and_a_large_one_as_long_as_the_budget_asks() -> None:
    assert len(hold(PLAN, SMALL, 5, budget=0).curve) == 14 * PATIENCE
    large = hold(PLAN, LARGE, 5, budget=0)
    assert len(large.curve) == 14
    more = hold(PLAN, LARGE, 5, budget=large.macs + 1)
    assert len(more.curve) == 15
    assert more.curve[:14] == large.curve
    assert (more.test_accuracy, more.macs) == (large.test_accuracy, large.macs)


def test_a_run_tells_what_grew_and_what_it_cost() -> None:
    grown = grow(PLAN, "schedule", 5)
    assert (grown.arm, grown.seed, grown.germinated) == ("schedule", 5, 1)
    assert grown.macs > 14 * 2 * SMALL_BATCH
    assert grown.parameters > 123
    assert grown.rent < 0.0
    assert grow(PLAN, "schedule", 5) == grown


def test_a_controller_is_taught_and_plays_what_it_learnt() -> None:
    weights, lessons = teach(PLAN, 0)
    assert len(lessons) == PLAN.updates
    again, _ = teach(PLAN, 0)
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())
    # Whoever is sure to germinate does, and whoever is sure to wait does not.
    for op, germinated in ((1, True), (0, False)):
        sure = {name: tensor.clone() for name, tensor in weights.items()}
        sure["heads.0.bias"][op] = 50.0
        assert (grow(PLAN, "ppo", 5, sure).germinated > 0) is germinated


def test_the_schedule_that_ends_best_on_training_seeds_is_chosen() -> None:
    chosen = best_schedule(PLAN, (0, 1))
    assert chosen.blueprint in {"linear_bottleneck", "residual_mlp"}
    score = sum(grow(replace(PLAN, schedule=chosen), "schedule", seed).val_accuracy for seed in (0, 1))
    other = replace(chosen, begin=5 - chosen.begin)
    assert score >= sum(grow(replace(PLAN, schedule=other), "schedule", seed).val_accuracy for seed in (0, 1))
