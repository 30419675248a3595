import gc
import json
import math
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import gymnasium.utils.env_checker
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.env.attribution import contributions
from tolaria.env.config import RewardConfig, TrainingConfig
from tolaria.env.growth_env import EnvConfig, GrowthEnv
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.stage import Stage
from tolaria.policy.masks import masks_of
from tolaria.seams import WEIGHTS_UPDATED, Seam, T
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point
from tolaria.telemetry.growth_events import ActionRefused, FossilMeasured, RewardExplained
from tolaria.telemetry.run_events import StepFinished

# Builds an environment and keeps what it tells.
MakeEnv = Callable[..., Any]


class NanInHead:
    """Breaks the host in one step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam is WEIGHTS_UPDATED and at.step == self.step:
            with torch.no_grad():
                value.host.head.weight.fill_(math.nan)  # type: ignore[attr-defined]  # the seam passes a trainee
        return value


def test_gymnasium_has_nothing_to_complain_of(make_env: MakeEnv) -> None:
    env = make_env().subject
    with warnings.catch_warnings():
        # Said of every environment that was not made by its registered name.
        warnings.filterwarnings("ignore", message=".*different render modes.*")
        warnings.filterwarnings("ignore", message=".*alternative render modes.*")
        gymnasium.utils.env_checker.check_env(env, skip_render_check=True)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 2), st.integers(0, 3), st.integers(0, 3))
def test_masked_is_refused_and_nothing_else(seed: int, seeds_max: int, training_min: int, prune_min: int) -> None:
    gates = GateConfig(training_steps_min=training_min, seeds_max=seeds_max, prune_age_min=prune_min, contribution_min=-0.05)
    env = GrowthEnv(TASKS["spirals"](), EnvConfig(25, TrainingConfig(batches_per_step=1), gates), seed)
    rng = np.random.default_rng(seed)
    for step in range(25):
        masks = masks_of(env.view())
        factors = [int(rng.integers(size)) for size in env.actions.sizes[2:]]
        for op, slot in np.argwhere(~masks.slot_by_op):
            # What is refused changes nothing, so everything that is masked can be tried.
            assert not env.training.apply(env.actions.decode((int(op), int(slot), *factors)), gates, Point(step, 0))
        op = int(rng.choice(np.flatnonzero(masks.op)))
        slot = int(rng.choice(np.flatnonzero(masks.slot_by_op[op])))
        assert env.advance(env.actions.decode((op, slot, *factors)), Point(step, 0)).accepted


def test_a_masked_decision_changes_nothing_but_costs_no_action(make_env: MakeEnv) -> None:
    refused, waited = make_env(), make_env()
    refused.subject.advance(Action(op=Op.PRUNE, slot="s0"), Point(0, 0))
    waited.subject.advance(WAIT, Point(0, 0))
    assert len(refused.of(ActionRefused)) == 1
    assert refused.of(StepFinished)[0].reward == waited.of(StepFinished)[0].reward
    ours, theirs = refused.subject.training.all_tensors(), waited.subject.training.all_tensors()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_same_seed_gives_the_same_bytes(make_env: MakeEnv) -> None:
    def played() -> tuple[list[str], dict[str, torch.Tensor]]:
        told = make_env(5)
        env = told.subject
        env.reset(seed=5)
        rng = np.random.default_rng(1)
        for _ in range(8):
            env.step(rng.integers(env.action_space.nvec))
        return [repr(event) for event in told.events], env.training.all_tensors()

    (history, tensors), (history_again, tensors_again) = played(), played()
    assert history == history_again
    assert tensors.keys() == tensors_again.keys()
    assert all(torch.equal(tensors[name], tensors_again[name]) for name in tensors)


def test_reset_begins_a_new_host_and_a_seed_names_it(make_env: MakeEnv) -> None:
    env = make_env().subject
    first, _ = env.reset(seed=3)
    head = env.training.host.head.weight.clone()
    env.step(np.zeros(8, dtype=np.int64))
    env.reset()
    assert not torch.equal(env.training.host.head.weight, head)
    again, info = env.reset(seed=3)
    assert torch.equal(env.training.host.head.weight, head)
    assert np.array_equal(first, again)
    assert info["op_mask"].tolist() == [True, True, False, False, False, False]


def test_a_host_is_let_go_of_when_the_next_episode_begins(make_env: MakeEnv) -> None:
    env = make_env().subject
    env.advance(Action(op=Op.GERMINATE, slot="s0", blueprint="mlp_norm"), Point(0, 0))
    former = weakref.ref(env.training.host)
    env.begin_episode()
    gc.collect()
    assert former() is None


def test_the_time_limit_is_a_truncation(make_env: MakeEnv) -> None:
    env = make_env(episode_steps=3).subject
    env.reset(seed=0)
    ends = [env.step(np.zeros(8, dtype=np.int64))[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_a_host_that_is_lost_ends_its_episode_without_a_reward(make_env: MakeEnv) -> None:
    env = make_env(taps=NanInHead(1), episode_steps=2).subject
    env.reset(seed=0)
    env.step(np.zeros(8, dtype=np.int64))
    observation, reward, terminated, truncated, info = env.step(np.zeros(8, dtype=np.int64))
    assert (reward, terminated, truncated, info["collapsed"]) == (0.0, True, False, True)
    assert env.observation_space.contains(observation)


def test_only_measurements_of_a_healthy_host_are_shown(make_env: MakeEnv) -> None:
    env = make_env(taps=NanInHead(1)).subject
    for step in range(2):
        outcome = env.advance(WAIT, Point(step, 0))
    assert outcome.reward is None
    assert [vitals.step for vitals in env.view().recent] == [0]
    assert math.isfinite(env.training.loss_before)


def test_rent_is_for_what_was_added_and_cost_for_what_was_done(make_env: MakeEnv) -> None:
    germinate = Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp")
    dear, free = (make_env(reward=RewardConfig(rent=rent, action_cost=cost)) for rent, cost in ((0.5, 0.25), (0.0, 0.0)))
    for told in (dear, free):
        told.subject.advance(germinate, Point(0, 0))
        told.subject.advance(WAIT, Point(1, 0))
    host = dear.subject.training.host
    # residual_mlp at width 24: 24 x 48 + 48 and 48 x 24 + 24; the host: 2 x 24 + 24, 24 x 24 + 24, 24 x 3 + 3 and its norms.
    assert host.seed_parameters() == 2376
    share = 2376 / (2376 + host.host_parameters())
    paid = [without.reward - with_.reward for with_, without in zip(dear.of(StepFinished), free.of(StepFinished), strict=True)]
    assert paid == pytest.approx([0.5 * share + 0.25, 0.5 * share])


def test_the_sparse_mode_pays_at_the_end(make_env: MakeEnv) -> None:
    told = make_env(reward=RewardConfig(mode="sparse"), episode_steps=3)
    for step in range(3):
        told.subject.advance(WAIT, Point(step, 0))
    rewards = [event.reward for event in told.of(StepFinished)]
    assert rewards[:2] == [0.0, 0.0]
    assert rewards[2] == told.of(StepFinished)[2].val_accuracy


def test_progress_telescopes_over_a_real_episode(make_env: MakeEnv) -> None:
    told = make_env(reward=RewardConfig(rent=0.0, action_cost=0.0))
    start, chance = told.subject.training.loss_before, told.subject.task.chance_loss
    for step in range(8):
        told.subject.advance(WAIT, Point(step, 0))
    steps = told.of(StepFinished)
    assert sum(event.reward for event in steps) == pytest.approx(math.exp(-steps[-1].val_loss / chance) - math.exp(-start / chance))


@pytest.mark.parametrize(("mode", "measured"), [("contribution", [9, 14]), ("progress", [9])])
def test_what_contributions_pay_adds_up_to_what_fossils_are_worth_at_the_end(
    make_env: MakeEnv, open_gates: GateConfig, mode: str, measured: list[int]
) -> None:
    training, reward = TrainingConfig(batches_per_step=20), RewardConfig(mode=mode)
    told = make_env(episode_steps=15, training=training, gates=open_gates, reward=reward)
    ops = {1: Op.GERMINATE, 2: Op.ADVANCE, 4: Op.ADVANCE, 5: Op.ADVANCE, 6: Op.FOSSILIZE}
    for step in range(15):
        action = Action(op=ops.get(step, Op.WAIT), slot="s0", blueprint="residual_mlp", tempo=1)
        assert told.subject.advance(action, Point(step, 0)).accepted
    assert [event.at.step for event in told.of(FossilMeasured)] == measured
    training = told.subject.training
    worth = contributions(training.host, training.split("validation"), ["s0"])["s0"].mean
    # It has not stood still since the last round number.
    assert worth != told.of(FossilMeasured)[0].contribution
    assert sum(event.contribution for event in told.of(RewardExplained)) == pytest.approx(worth if mode == "contribution" else 0.0)


def test_a_committed_seed_is_reported(make_env: MakeEnv, open_gates: GateConfig) -> None:
    env = make_env(gates=open_gates).subject
    advance = Action(op=Op.ADVANCE, slot="s0")
    moves = [
        Action(op=Op.GERMINATE, slot="s0", blueprint="mlp_norm", tempo=1),
        advance,
        advance,
        advance,
        Action(op=Op.FOSSILIZE, slot="s0"),
    ]
    outcomes = [env.advance(action, Point(step, 0)) for step, action in enumerate(moves)]
    assert [outcome.fossilized for outcome in outcomes] == [False, False, False, False, True]
    assert env.training.state("s0").stage is Stage.FOSSILIZED


def test_a_decision_outside_of_the_action_space_survives_a_checkpoint(make_env: MakeEnv) -> None:
    env = make_env().subject
    odd = Action(op=Op.GERMINATE, slot="s9", blueprint="no such", tempo=4, alpha_target=0.33)
    env.advance(odd, Point(0, 0))
    facts = json.loads(json.dumps(env.facts()))
    other = make_env().subject
    other.resume(dict(env.training.all_tensors()), facts)
    assert (other.course.last_action, other.course.last_accepted) == (odd, False)
    assert other.view() == env.view()


def test_after_a_rollback_the_decision_is_not_shown_as_done(make_env: MakeEnv) -> None:
    env = make_env().subject
    env.advance(Action(op=Op.GERMINATE, slot="s0", blueprint="mlp_norm"), Point(0, 0))
    env.forget_action()
    assert (env.view().last_action, env.view().last_accepted) == (WAIT, False)
