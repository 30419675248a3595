from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.policy.demonstrating import DemonstratingPolicy
from tolaria.policy.fixed import FixedPolicy
from tolaria.policy.view import View
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.imitation import Imitation, discounted, imitate
from tolaria.ppo.row import Row

from .conftest import SPACE, Playground

GERMINATE = Action(op=Op.GERMINATE, slot="s1", blueprint="mlp", tempo=8)


class Late(FixedPolicy):
    """Germinates from the seventh step of an episode on."""

    def decide(self, view: View) -> Action:
        return GERMINATE if view.episode_step >= 6 else WAIT


def watched(playground: Playground, reward: float = 0.1) -> RolloutBuffer:
    """A rollout of the demonstrator on the playground's environments."""
    config = discounted(playground.config)
    buffer = RolloutBuffer(playground.num_envs, playground.horizon, config)
    demonstrator = DemonstratingPolicy(Late(), SPACE, playground.policy.agent.net.initial_state(playground.num_envs))
    buffer.begin(demonstrator.recurrent_state())
    for step in range(playground.horizon):
        views = [replace(playground.view(env), episode_step=step) for env in range(playground.num_envs)]
        for env, choice in enumerate(demonstrator.act(views)):
            last = step == playground.horizon - 1
            buffer.remember(env, Row(step, 0, choice.record, reward, truncated=last, fresh=step == 0))
    buffer.finish({})
    return buffer


def learnt(playground: Playground, epochs: int = 200) -> Imitation:
    return imitate(playground.policy.agent, watched(playground), playground.config, epochs)


def test_an_agent_takes_over_what_it_has_watched(rollout: Callable[..., Playground]) -> None:
    playground = rollout(horizon=12)
    found = learnt(playground)
    # Before, about uniform: the log of the number of legal ops, and for a germination of all that belongs to it.
    assert found.surprise_before > 1.0
    assert found.surprise < 0.1
    assert found.likely > 0.9
    policy = playground.policy
    decided = []
    for step in range(12):
        view = replace(playground.view(0), episode_step=step)
        decided.append(policy.act([view])[0].action)
    assert decided[:5].count(WAIT) >= 4
    assert decided[7:].count(GERMINATE) >= 4


def test_it_also_learns_what_to_expect(rollout: Callable[..., Playground]) -> None:
    playground = rollout(horizon=12, config=PpoConfig(gamma=1.0))
    buffer = watched(playground)
    imitate(playground.policy.agent, buffer, playground.config, 400)
    stacked = buffer.stacked()
    with torch.no_grad():
        _, values, _ = playground.policy.net(stacked.observations, stacked.state, stacked.fresh)
    # Twelve rewards of 0.1 are to come at first, and one at last, on the scale of their spread.
    scale = buffer.normalizer.scale
    assert values[0].mean().item() == pytest.approx(1.2 / scale, rel=0.2)
    assert values[-1].mean().item() == pytest.approx(0.1 / scale, abs=0.4)


def test_the_same_episodes_teach_the_same(rollout: Callable[..., Playground]) -> None:
    first, second = rollout(horizon=6), rollout(horizon=6)
    assert learnt(first, 5) == learnt(second, 5)
    ours, theirs = first.policy.tensors(), second.policy.tensors()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_without_an_epoch_nothing_changes(rollout: Callable[..., Playground]) -> None:
    playground = rollout(horizon=6)
    before = playground.policy.tensors()
    found = learnt(playground, 0)
    assert found.surprise == found.surprise_before
    assert all(torch.equal(tensor, before[name]) for name, tensor in playground.policy.tensors().items())
