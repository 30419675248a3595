import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.env.config import RewardConfig
from tolaria.env.reward import potential, progress_reward, sparse_reward
from tolaria.vitals import Vitals

FREE = RewardConfig(rent=0.0, action_cost=0.0)
losses = st.floats(0.0, 1e6)
chances = st.floats(0.1, 20.0)


def vitals(loss: float, accuracy: float = 0.5) -> Vitals:
    return Vitals(0, loss, loss, accuracy, 1.0)


@given(losses, chances)
def test_the_potential_lies_between_zero_and_one(loss: float, chance: float) -> None:
    assert 0.0 <= potential(loss, chance) <= 1.0


@given(st.lists(losses, min_size=1, max_size=30), losses, chances)
def test_progress_over_an_episode_is_the_last_potential_minus_the_first(path: list[float], start: float, chance: float) -> None:
    total, before = 0.0, start
    for loss in path:
        reward = progress_reward(before, vitals(loss), chance, 0.0, False, FREE)
        assert reward is not None
        total += reward
        before = loss
    assert total == pytest.approx(potential(path[-1], chance) - potential(start, chance), abs=1e-9)


@given(st.lists(losses, max_size=30), losses, chances)
def test_a_loop_that_ends_where_it_began_earns_nothing(path: list[float], start: float, chance: float) -> None:
    total, before = 0.0, start
    for loss in [*path, start]:
        total += progress_reward(before, vitals(loss), chance, 0.0, False, FREE) or 0.0
        before = loss
    assert total == pytest.approx(0.0, abs=1e-9)


@given(losses, losses, chances)
def test_however_far_a_loss_explodes_a_step_costs_at_most_one(before: float, after: float, chance: float) -> None:
    reward = progress_reward(before, vitals(after), chance, 0.0, False, FREE)
    assert reward is not None
    assert -1.0 <= reward <= 1.0


def test_known_rewards() -> None:
    # exp(-1) - exp(-2) = 0.36788 - 0.13534, then 0.5 of rent at 0.1 and one action at 0.02.
    assert potential(0.0, 2.0) == 1.0
    assert potential(2.0, 2.0) == pytest.approx(0.36788, abs=1e-5)
    reward = progress_reward(4.0, vitals(2.0), 2.0, 0.5, True, RewardConfig(rent=0.1, action_cost=0.02))
    assert reward == pytest.approx(0.23254 - 0.05 - 0.02, abs=1e-5)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_no_number_has_no_reward_and_is_never_clipped_into_one(loss: float) -> None:
    assert progress_reward(1.0, vitals(loss), 1.0, 0.0, False, FREE) is None
    assert sparse_reward(vitals(loss), True, 0.0, FREE) is None


@pytest.mark.parametrize("before", [math.nan, math.inf])
def test_a_baseline_that_is_no_number_is_a_mistake(before: float) -> None:
    with pytest.raises(AssertionError):
        progress_reward(before, vitals(1.0), 1.0, 0.0, False, FREE)


def test_the_sparse_reward_comes_at_the_end() -> None:
    config = RewardConfig(mode="sparse", rent=0.1)
    assert sparse_reward(vitals(1.0, 0.75), False, 2.0, config) == 0.0
    assert sparse_reward(vitals(1.0, 0.75), True, 2.0, config) == pytest.approx(0.55)
