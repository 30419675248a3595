from dataclasses import replace

import pytest
import torch

from tolaria.bench.credit import toxic
from tolaria.bench.credit.toxic import (
    ARMS,
    BAIT,
    CLEAR,
    CONTROL,
    DELAY,
    SAFE_PAY,
    TOXIC,
    Counted,
    Paymaster,
    ToxicCell,
    ToxicRun,
    explode,
    forget_the_dead,
    grow,
)
from tolaria.lifecycle.action import Action, Op
from tolaria.seams import NO_TAPS
from tolaria.train.config import Move, TrainConfig
from tolaria.train.rollout import take_step
from tolaria.train.run import Run


def scripted(blueprint: str, arm: str = "shipped") -> Run:
    """One environment in which a seed of the blueprint germinates in the first step, and nobody decides anything else."""
    config = ToxicCell(arm, 0).config()
    script = (Move(0, 0, Action(Op.GERMINATE, "s0", blueprint)),)
    alone = replace(config, policy="scripted", script=script, envs=1, rollout_steps=20, ppo=replace(config.ppo, minibatches=1))
    history = Counted()
    run = Run(alone, torch.device("cpu"), history, NO_TAPS)
    run.taps = Paymaster(history)
    run.begin()
    return run


def rollbacks_by_step(run: Run, steps: int) -> list[int]:
    assert isinstance(run.history, Counted)
    found = []
    for _ in range(steps):
        explode(run.envs.active)
        take_step(run)
        found.append(run.history.rollbacks)
    return found


def test_a_toxic_seed_kills_its_host_after_the_delay_and_is_gone() -> None:
    run = scripted(TOXIC)
    assert rollbacks_by_step(run, DELAY + 3) == [0] * DELAY + [1, 1, 1]
    assert not run.envs.envs[0].training.host.slot_states()["s0"].occupied
    assert run.buffer.rows(0)[DELAY].penalized
    assert isinstance(run.history, Counted)
    assert (run.history.toxic, run.history.good) == (1, 0)


@pytest.mark.parametrize("blueprint", ["mlp_norm", "linear_bottleneck"])
def test_any_other_seed_lives(blueprint: str) -> None:
    run = scripted(blueprint)
    assert rollbacks_by_step(run, DELAY + 3) == [0] * (DELAY + 3)
    assert run.envs.envs[0].training.host.slot_states()["s0"].occupied
    assert isinstance(run.history, Counted)
    assert (run.history.toxic, run.history.good) == (0, 1)


@pytest.mark.parametrize(("blueprint", "pay"), [(TOXIC, BAIT), ("mlp_norm", SAFE_PAY)])
def test_a_germination_pays_at_once_and_once(blueprint: str, pay: float) -> None:
    run, unpaid = scripted(blueprint), scripted(blueprint)
    unpaid.taps = NO_TAPS
    for each in (run, unpaid):
        rollbacks_by_step(each, 3)
    paid = [ours.reward - theirs.reward for ours, theirs in zip(run.buffer.rows(0), unpaid.buffer.rows(0), strict=True)]
    assert paid == pytest.approx([pay, 0.0, 0.0])


def test_with_clear_nothing_is_left_of_a_rollout_in_which_the_host_died() -> None:
    run = scripted(TOXIC)
    rollbacks_by_step(run, DELAY)
    forget_the_dead(run)
    assert len(run.buffer.rows(0)) == DELAY
    rollbacks_by_step(run, 1)
    forget_the_dead(run)
    assert run.buffer.rows(0) == ()


def test_arms_differ_in_the_penalty_alone() -> None:
    shipped, control, clear = (ToxicCell(arm, 0).config() for arm in ("shipped", CONTROL, CLEAR))
    assert list(ARMS) == ["shipped", CONTROL, CLEAR]
    assert (shipped.governor.penalty, control.governor.penalty) == (-10.0, -1e-9)
    assert replace(control, governor=shipped.governor) == clear == shipped
    usual = TrainConfig().ppo
    assert (shipped.ppo.penalty_attribution, shipped.ppo.rollback_transition) == (usual.penalty_attribution, usual.rollback_transition)


def test_a_run_grows_real_hosts_and_counts_them_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toxic, "ENVS", 4)
    first, second = (grow(ToxicCell(CLEAR, 0, episodes=2)) for _ in range(2))
    assert replace(first, cpu_s=0.0) == replace(second, cpu_s=0.0)
    assert len(first.good) == len(first.toxic) == len(first.rollbacks) == 2
    assert sum(first.good) > 0
    # A host may take two toxic seeds with it, and a seed of the last steps outlives the episode.
    assert 0 < sum(first.rollbacks) <= sum(first.toxic)


def test_what_is_settled_is_the_last_tenth() -> None:
    counts = ToxicRun(ToxicCell("shipped", 0), (999,) * 18 + (30, 34), (999,) * 18 + (10, 6), (0,) * 18 + (8, 8), 1.0)
    assert (counts.toxic_share, counts.good_an_episode, counts.rollbacks_an_episode) == (0.2, 2.0, 0.5)
    assert counts.seeds_an_episode == 2.5
    assert replace(counts, good=(0,) * 20, toxic=(0,) * 20).toxic_share is None
