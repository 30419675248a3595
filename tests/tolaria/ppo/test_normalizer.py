import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.ppo.normalizer import ReturnNormalizer


def discounted(rewards: list[float], gamma: float) -> list[float]:
    found, running = [], 0.0
    for reward in rewards:
        running = gamma * running + reward
        found.append(running)
    return found


@given(st.lists(st.floats(-100.0, 100.0), min_size=2, max_size=50), st.floats(0.0, 1.0))
def test_the_spread_equals_that_of_numpy(rewards: list[float], gamma: float) -> None:
    normalizer = ReturnNormalizer(gamma)
    for reward in rewards:
        normalizer.observe(0, reward, ended=False)
    assert normalizer.std == pytest.approx(np.std(discounted(rewards, gamma)), rel=1e-9, abs=1e-6)


def test_environments_have_returns_of_their_own_that_end_with_a_segment() -> None:
    normalizer = ReturnNormalizer(gamma=0.5)
    for env, reward, ended in ((0, 1.0, False), (1, 3.0, True), (0, 1.0, False), (1, 1.0, False)):
        normalizer.observe(env, reward, ended)
    assert normalizer.std == pytest.approx(np.std([1.0, 3.0, 1.5, 1.0]))


def test_a_segment_that_ended_in_a_penalty_counts_nothing_and_leaves_nothing() -> None:
    with_death, without = ReturnNormalizer(0.9), ReturnNormalizer(0.9)
    for normalizer in (with_death, without):
        normalizer.observe(0, 5.0, ended=normalizer is without)
    with_death.skip(0)
    for normalizer in (with_death, without):
        normalizer.observe(0, 1.0, ended=False)
    assert with_death.facts() == without.facts()


@pytest.mark.parametrize("rewards", [[], [5.0], [2.0, 2.0, 2.0]])
def test_rewards_without_spread_are_left_as_they_are(rewards: list[float]) -> None:
    normalizer = ReturnNormalizer(gamma=0.0)
    for reward in rewards:
        normalizer.observe(0, reward, ended=False)
    normalizer.finish_rollout()
    assert normalizer.scale == 1.0


def test_what_rewards_are_divided_by_rises_and_never_falls() -> None:
    normalizer = ReturnNormalizer(gamma=0.0)
    scales = []
    for rewards in ([0.0, 1.0], [0.0] * 100, [9.0, -9.0]):
        for reward in rewards:
            normalizer.observe(0, reward, ended=False)
        normalizer.finish_rollout()
        scales.append(normalizer.scale)
    assert scales[0] == scales[1] == 0.5
    assert scales[2] == normalizer.std > 1.0


def test_what_rewards_are_divided_by_stands_still_during_a_rollout() -> None:
    normalizer = ReturnNormalizer(gamma=0.0)
    for reward in (0.0, 5.0):
        normalizer.observe(0, reward, ended=False)
    assert normalizer.scale == 1.0


def test_a_restored_normalizer_counts_on() -> None:
    normalizer, other = ReturnNormalizer(0.9), ReturnNormalizer(0.9)
    for env, reward in ((0, 1.5), (1, -0.3), (0, 2.25)):
        normalizer.observe(env, reward, ended=False)
    other.restore(json.loads(json.dumps(normalizer.facts())))
    for each in (normalizer, other):
        each.observe(1, 0.7, ended=False)
    assert normalizer.facts() == other.facts()


def test_a_number_that_is_none_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        ReturnNormalizer(0.9).observe(0, float("nan"), ended=False)
