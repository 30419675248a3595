from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.learned import LearnedPolicy
from tolaria.policy.policy import Choice
from tolaria.policy.view import View
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.learner import Learner, UpdatesSkipped
from tolaria.ppo.row import Row


def broken(played: Any) -> None:
    played.play()
    played.finish()
    row = played.buffer._rows[0][0]
    played.buffer._rows[0][0] = replace(row, record=replace(row.record, log_prob=float("nan")))


def test_too_many_skipped_updates_in_a_row_stop_the_run(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(max_skipped_updates=3))
    learner = Learner(played.policy.agent, played.config)
    broken(played)
    assert [bool(learner.learn(played.buffer).skipped) for _ in range(2)] == [True, True]
    with pytest.raises(UpdatesSkipped, match="3 updates in a row"):
        learner.learn(played.buffer)


def test_an_update_that_learns_makes_the_learner_patient_again(rollout: Callable[..., Any]) -> None:
    played, healthy = rollout(), rollout()
    learner = Learner(played.policy.agent, PpoConfig(max_skipped_updates=2))
    broken(played)
    healthy.play()
    healthy.finish()
    for buffer in (played.buffer, healthy.buffer, played.buffer):
        learner.learn(buffer)
    assert learner.facts() == {"updates": 3, "skipped": 1}


def test_an_empty_rollout_costs_no_patience(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.buffer.begin(played.policy.recurrent_state())
    played.finish()
    learner = Learner(played.policy.agent, PpoConfig(max_skipped_updates=1))
    assert learner.learn(played.buffer).skipped


def test_updates_that_break_the_weights_stop_the_run_too(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(max_skipped_updates=2, epochs=1))
    played.play()
    played.finish()
    learner = Learner(played.policy.agent, played.config)
    learner.optimizer = torch.optim.SGD(played.policy.net.parameters())
    # Every weight is finite afterwards, and what the network makes of them is not.
    learner.config = replace(played.config, lr=3e38)
    before = [parameter.detach().clone() for parameter in played.policy.net.parameters()]
    assert learner.learn(played.buffer).restored == "the entropy is not finite"
    with pytest.raises(UpdatesSkipped, match="2 updates in a row were skipped: the entropy is not finite"):
        learner.learn(played.buffer)
    assert all(torch.equal(one, two) for one, two in zip(before, played.policy.net.parameters(), strict=True))


def test_the_learning_rate_falls_on_a_straight_line(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(lr=0.004, lr_decay_updates=4))
    played.play()
    played.finish()
    learner, rates = Learner(played.policy.agent, played.config), []
    for _ in range(5):
        learner.learn(played.buffer)
        rates.append(learner.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.004, 0.003, 0.002, 0.001, 0.0])


def test_a_restored_learner_goes_on_at_its_place_in_the_schedule(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(lr=0.004, lr_decay_updates=4))
    played.play()
    played.finish()
    first, second = (Learner(played.policy.agent, played.config) for _ in range(2))
    for _ in range(2):
        first.learn(played.buffer)
    second.restore(first.tensors(), first.facts())
    second.learn(played.buffer)
    assert second.optimizer.param_groups[0]["lr"] == pytest.approx(0.002)


def test_more_minibatches_than_environments_are_refused(rollout: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"ppo\.minibatches"):
        Learner(rollout().policy.agent, PpoConfig(minibatches=4))


def test_a_restored_learner_learns_the_same(rollout: Callable[..., Any]) -> None:
    one, two = rollout(), rollout(seed=9)
    first, second = Learner(one.policy.agent, one.config), Learner(two.policy.agent, two.config)
    one.play()
    one.finish()
    first.learn(one.buffer)
    second.restore(first.tensors(), first.facts())
    two.policy.restore(one.policy.tensors(), one.policy.facts())
    for learner in (first, second):
        learner.learn(one.buffer)
    assert all(torch.equal(a, b) for a, b in zip(one.policy.net.parameters(), two.policy.net.parameters(), strict=True))
    assert all(torch.equal(tensor, second.tensors()[name]) for name, tensor in first.tensors().items())


class Bait:
    """One slot. Germinating pays +0.5 at once and kills the host three steps later; everything else pays nothing."""

    DELAY = 3
    LENGTH = 12

    def __init__(self, env: int) -> None:
        self.env = env
        self.begin()

    def begin(self) -> None:
        self.step, self.baited = 0, -1

    def view(self) -> View:
        doomed = SlotState("s0", Stage.TRAINING, "norm", age=self.step - self.baited)
        slot = SlotState("s0") if self.baited < 0 else doomed
        gates = GateConfig(training_steps_min=99, prune_age_min=99)
        return View(self.env, self.step, self.LENGTH, 2.0, {"s0": slot}, ("norm",), gates)

    def apply(self, action: Action) -> tuple[float, bool]:
        """The reward, and whether the host collapsed."""
        if action.op is Op.GERMINATE:
            self.baited = self.step
        self.step += 1
        return (0.5 if action.op is Op.GERMINATE else 0.0), 0 <= self.baited == self.step - 1 - self.DELAY


class Feeding:
    """Eight bait environments, a learner, and what is done with the rows of a host that died."""

    def __init__(self, clears: bool) -> None:
        self.clears = clears
        config = PpoConfig(hidden_size=16, lr=3e-3, target_kl=0.05)
        self.policy = LearnedPolicy(ActionSpace(("s0",), ("norm",)), 8, config.hidden_size, seed=2)
        self.learner = Learner(self.policy.agent, config)
        self.buffer = RolloutBuffer(8, 40, config)
        self.baits = [Bait(env) for env in range(8)]
        self.fresh = [True] * 8

    def round(self) -> float:
        """One rollout and one update; how often a free choice was the bait."""
        bites = chances = 0
        self.buffer.begin(self.policy.recurrent_state())
        for step in range(40):
            for bait, choice in zip(self.baits, self.policy.act([bait.view() for bait in self.baits]), strict=True):
                assert choice.record is not None
                chances += not choice.record.forced
                bites += choice.action.op is Op.GERMINATE
                self.settle(bait, choice, step)
        self.buffer.finish(dict(enumerate(self.policy.values([bait.view() for bait in self.baits]))))
        self.learner.learn(self.buffer)
        self.buffer.clear()
        return bites / chances

    def settle(self, bait: Bait, choice: Choice, step: int) -> None:
        reward, died = bait.apply(choice.action)
        over = died or bait.step == Bait.LENGTH
        if died and self.clears:
            self.buffer.forget(bait.env)
        elif died:
            self.buffer.remember(bait.env, Row.death(step, 0, choice.record, -10.0, self.fresh[bait.env]))
        else:
            bootstrap = self.policy.values([bait.view()])[0] if over else 0.0
            row = Row(step, 0, choice.record, reward, truncated=over, bootstrap=bootstrap, fresh=self.fresh[bait.env])
            self.buffer.remember(bait.env, row)
        self.fresh[bait.env] = over
        if over:
            bait.begin()
            self.policy.begin_life(bait.env)


def test_a_bait_that_kills_later_is_avoided() -> None:
    feeding = Feeding(clears=False)
    first = feeding.round()
    bites = [feeding.round() for _ in range(14)]
    assert first > 0.3
    assert max(bites[-3:]) < 0.05


def test_a_bait_is_not_avoided_when_death_clears_the_buffer() -> None:
    feeding = Feeding(clears=True)
    bites = [feeding.round() for _ in range(15)]
    assert min(bites[-3:]) > 0.3
