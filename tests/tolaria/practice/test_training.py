from collections.abc import Callable
from typing import Any

import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.update import lesson_of, losses_of, recomputed_log_probs
from tolaria.practice.config import PracticeConfig
from tolaria.practice.training import Practice, Progress, train_env
from tolaria.practice.worlds import Worlds


def practice_of(make_env: Callable[[], Any], config: PracticeConfig) -> Practice:
    return Practice(Worlds(make_env, config.envs, 0, config.normalize_observations), config, seed=0)


def value_of(practice: Practice, observation: list[float]) -> float:
    """What a network without memory expects of an observation."""
    return practice.practised.agent.values(torch.tensor([observation, observation]))[0]


def test_a_time_limit_is_valued_by_what_was_seen_last_and_not_by_the_next_episode(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:  # fmt: skip
    practice = practice_of(lambda: counting(length=3, ends="truncated"), small())
    practice.rollout()
    first, second = practice.buffer.rows(0)[2], practice.buffer.rows(0)[5]
    assert [row.truncated for row in practice.buffer.rows(0)] == [False, False, True, False, False, True, False, False]
    assert first.bootstrap == pytest.approx(value_of(practice, [3.0, 0.0]), abs=1e-6)
    assert second.bootstrap == pytest.approx(value_of(practice, [3.0, 1.0]), abs=1e-6)
    assert first.bootstrap != pytest.approx(value_of(practice, [0.0, 1.0]), abs=1e-6)
    # The end of the rollout is valued by what stands there now.
    assert practice.buffer.rows(0)[7].bootstrap == pytest.approx(value_of(practice, [2.0, 2.0]), abs=1e-6)


def test_an_end_expects_nothing_and_the_next_row_is_fresh(counting: Callable[..., Any], small: Callable[..., PracticeConfig]) -> None:
    practice = practice_of(lambda: counting(length=3), small("lstm"))
    practice.rollout()
    rows = practice.buffer.rows(1)
    assert [row.terminated for row in rows] == [False, False, True, False, False, True, False, False]
    assert [row.fresh for row in rows] == [True, False, False, True, False, False, True, False]
    assert [row.life for row in rows] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert rows[2].bootstrap == 0.0


def test_a_rollback_becomes_the_row_with_the_penalty(counting: Callable[..., Any], small: Callable[..., PracticeConfig]) -> None:
    """A half of it is for the step before, which the environment blames."""
    practice = practice_of(lambda: counting(length=3, ends="rollback"), small(penalty=-7.0))
    practice.rollout()
    borne = [(row.step, row.share, row.reward if row.penalized else 0.0) for row in practice.buffer.rows(0) if row.charged]
    assert borne == [(1, -3.5, 0.0), (2, 0.0, -3.5), (4, -3.5, 0.0), (5, 0.0, -3.5)]
    assert [row.step for row in practice.buffer.rows(0) if row.ended] == [2, 5]
    assert practice.buffer.num_penalized == 4
    assert all(episode.rolled_back for episode in practice.practised.episodes)


def test_a_cause_before_the_rollout_or_in_an_earlier_life_leaves_everything_with_the_last_row(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:
    # Episodes of one step, so that the step before is of an earlier life.
    practice = practice_of(lambda: counting(length=1, ends="rollback"), small(penalty=-7.0))
    practice.rollout()
    assert [(row.share, row.reward) for row in practice.buffer.rows(0)] == [(0.0, -7.0)] * 8


def test_a_rollback_that_is_told_of_by_true_costs_its_own_row_everything(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:
    practice = practice_of(lambda: counting(length=3, ends="rollback", told=True), small(penalty=-7.0))
    practice.rollout()
    assert [(row.step, row.reward) for row in practice.buffer.rows(0) if row.charged] == [(2, -7.0), (5, -7.0)]


def test_causes_that_weigh_more_than_one_are_refused_also_where_they_lie_before_the_rollout(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:
    told = {"causes": [[1, 0.9], [99, 0.9]]}
    with pytest.raises(ConfigError, match=r"causes: found 1\.8, expected weights that add up to at most 1"):
        practice_of(lambda: counting(length=3, ends="rollback", told=told), small()).rollout()


def test_a_rollback_that_is_no_end_leaves_segment_and_memory_as_they_are(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:
    config = small("lstm", PpoConfig(rollback_transition="continue", penalty_attribution="last"))
    practice = practice_of(lambda: counting(length=3, ends="rollback"), config)
    practice.rollout()
    rows = practice.buffer.rows(0)
    assert [row.step for row in rows if row.penalized] == [2, 5]
    assert [(row.ended, row.fresh) for row in rows] == [(False, True), *[(False, False)] * 7]
    assert [row.life for row in rows] == [0, 0, 0, 1, 1, 1, 2, 2]
    drift = recomputed_log_probs(practice.practised.agent, practice.buffer) - practice.buffer.stacked().log_probs
    assert drift.abs().max().item() < 1e-5


def test_a_rollback_that_is_taken_for_a_time_limit_is_valued_by_what_was_seen_last(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:
    practice = practice_of(lambda: counting(length=3, ends="rollback"), small(rollback="truncate"))
    practice.rollout()
    ends = [row for row in practice.buffer.rows(0) if row.ended]
    assert [(row.truncated, row.penalized, row.share) for row in ends] == [(True, False, 0.0)] * 2
    assert ends[0].bootstrap == pytest.approx(value_of(practice, [3.0, 0.0]))


def test_a_rollback_may_clear_what_its_copy_did(counting: Callable[..., Any], small: Callable[..., PracticeConfig]) -> None:
    practice = practice_of(lambda: counting(length=3, ends="rollback"), small("lstm", rollback="clear"))
    practice.rollout()
    rows = practice.buffer.rows(0)
    assert [(row.step, row.fresh) for row in rows] == [(6, True), (7, False)]
    practice.learn()
    assert practice.practised.episodes[0].rolled_back


@pytest.mark.parametrize("memory", ["none", "lstm"])
@pytest.mark.parametrize("segment_steps", [None, 3])
@pytest.mark.parametrize("ends", ["truncated", "rollback"])
def test_the_first_minibatch_finds_the_ratio_one(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig], memory: str, segment_steps: int | None, ends: str
) -> None:
    practice = practice_of(lambda: counting(length=5, ends=ends, masked=True), small(memory, segment_steps=segment_steps))
    with torch.no_grad():
        practice.practised.agent.net.heads[0].weight.mul_(300.0)
    # The second rollout begins in the middle of an episode.
    for _ in range(2):
        practice.buffer.clear()
        practice.rollout()
    columns = practice.buffer.stacked()
    error = recomputed_log_probs(practice.practised.agent, practice.buffer) - torch.where(columns.valid, columns.log_probs, 0.0)
    assert error.abs().max().item() < 1e-5
    assert losses_of(practice.practised.agent, lesson_of(practice.buffer), practice.config.ppo).kl.item() < 1e-9


def test_the_scale_of_observations_stands_still_during_a_rollout(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:  # fmt: skip
    practice = practice_of(lambda: counting(length=5), small(normalize_observations=True))
    normalizer = practice.worlds.normalizer
    assert normalizer is not None
    practice.rollout()
    assert normalizer.count == 0
    practice.learn()
    assert normalizer.count == 16
    assert normalizer.mean[0] == pytest.approx(sum([0, 1, 2, 3, 4, 0, 1, 2]) / 8)


def test_the_same_seed_gives_the_same_network(counting: Callable[..., Any], small: Callable[..., PracticeConfig]) -> None:
    config = small(ppo=PpoConfig(shuffle=True, minibatches=5))
    one, two, other = (train_env(counting, config, seed, steps=64) for seed in (3, 3, 4))
    weights = [done.agent.tensors() for done in (one, two, other)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert not torch.equal(weights[0]["net.trunk.0.weight"], weights[2]["net.trunk.0.weight"])


@pytest.mark.parametrize("memory", ["none", "lstm"])
def test_practice_makes_better(counting: Callable[..., Any], small: Callable[..., PracticeConfig], memory: str) -> None:
    config = small(memory, envs=4, rollout_steps=32, segment_steps=8, ppo=PpoConfig(lr=1e-2, shuffle=True, minibatches=2, gamma=0.9))
    done = train_env(lambda: counting(length=4), config, seed=0, steps=2_000)
    rewards = [episode.reward for episode in done.episodes]
    assert sum(rewards[:20]) / 20 < 8.0
    assert sum(rewards[-20:]) / 20 > 11.0


def test_practice_tells_how_far_it_is_and_stops_when_it_is_asked_to(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:  # fmt: skip
    told: list[Progress] = []
    done = train_env(counting, small(), 0, steps=1_000, progress=told.append, should_stop=lambda: len(told) == 2)
    assert [(one.steps, one.steps_total) for one in told] == [(16, 1_000), (32, 1_000)]
    assert done.steps == 32
    assert [episode for one in told for episode in one.episodes] == done.episodes
