from collections.abc import Callable
from typing import Any

import torch

from tolaria.practice.config import PracticeConfig
from tolaria.practice.evaluation import evaluate
from tolaria.practice.training import train_env


def test_each_episode_counts_once_and_the_agent_is_not_touched(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:  # fmt: skip
    done = train_env(counting, small("lstm"), 0, steps=16)
    with torch.no_grad():
        done.agent.net.heads[0].bias[2] = 100.0
    before = done.agent.tensors()
    lengths = iter([2, 5, 3])
    # The likeliest action is 2, in every step of every episode.
    assert evaluate(done, lambda: counting(length=next(lengths)), episodes=3, seed=0) == [4.0, 10.0, 6.0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in done.agent.tensors().items())


def test_an_evaluation_that_is_stopped_tells_nothing_of_the_episodes_that_were_over_by_then(
    counting: Callable[..., Any], small: Callable[..., PracticeConfig]
) -> None:
    done = train_env(counting, small(), 0, steps=16)
    asked = iter([False, False, False, True])
    lengths = iter([2, 10**9])
    assert evaluate(done, lambda: counting(length=next(lengths)), episodes=2, seed=0, should_stop=lambda: next(asked)) == []
    assert next(asked, None) is None


def test_sampled_actions_differ_from_the_likeliest(counting: Callable[..., Any], small: Callable[..., PracticeConfig]) -> None:
    done = train_env(counting, small(), 0, steps=16)
    likeliest = evaluate(done, lambda: counting(length=50), episodes=2, seed=0)
    sampled = evaluate(done, lambda: counting(length=50), episodes=2, seed=0, sampled=True)
    assert likeliest != sampled
    assert sampled == evaluate(done, lambda: counting(length=50), episodes=2, seed=0, sampled=True)
