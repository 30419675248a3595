"""What the governor costs the run that it guards, and nobody has to guess: two equal runs, one of them governed, step by step."""

from collections.abc import Callable
from dataclasses import replace

import torch

from tolaria.train.config import TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.run import Run
from tolaria.train.trainer import Trainer

COST_MAX = 0.03


def begun(enabled: bool, config: TrainConfig) -> Run:
    """A run before its first step."""
    run = Trainer.start(replace(config, governor=replace(config.governor, enabled=enabled)), None).run
    run.begin()
    return run


def step_of(run: Run) -> Callable[[], None]:
    """One step as the trainer takes it."""

    def step() -> None:
        take_step(run)
        if run.step % run.config.rollout_steps == 0 or run.finished:
            finish_rollout(run)

    return step


def weights(run: Run) -> list[torch.Tensor]:
    """Everything that training has changed."""
    return [tensor for env in run.envs.envs for tensor in env.training.all_tensors().values()]


def test_the_governor_costs_at_most_three_percent_of_a_step(contest) -> None:
    config = TrainConfig(task="digits", policy="heuristic", envs=4)
    # What only a first step pays, such as loading kernels, is paid by a run that does not count.
    step_of(begun(True, config))()
    governed, bare = begun(True, config), begun(False, config)
    contest.alternate({"governed": step_of(governed), "bare": step_of(bare)}, rounds=config.steps)

    assert governed.step == bare.step
    assert all(torch.equal(one, other) for one, other in zip(weights(governed), weights(bare), strict=True))
    # Red where the whole interval lies above the claim, and not where a busy machine merely widens it.
    assert contest.compare("governed", "bare").low <= 1 + COST_MAX
