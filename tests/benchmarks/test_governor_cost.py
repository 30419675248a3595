"""What the governor costs the run that it guards, and nobody has to guess: equal runs, governed, judged only and bare, step by step."""

from collections.abc import Callable
from dataclasses import replace

import torch

from tolaria.env.config import TrainingConfig
from tolaria.env.training import Trained
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.jury import Jury
from tolaria.telemetry.event import Point
from tolaria.train.config import TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.run import Run
from tolaria.train.trainer import Trainer

JUDGING_MAX, SNAPSHOTS_MAX = 0.01, 0.02
# Steps from one snapshot to the next, and what is later than any run.
CADENCE, NEVER = 10, 10**9
ROUNDS = 60
# The step in seconds that judging may cost a part of, and so many steps until every detector is awake.
STEP_S, SAMPLES = 0.020, 12


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


def test_judging_costs_at_most_one_percent_and_snapshots_every_ten_steps_two(contest) -> None:
    config = TrainConfig(task="digits", policy="heuristic", envs=1, steps=ROUNDS, training=TrainingConfig(batches_per_step=10))
    # What only a first step pays, such as loading kernels, is paid by a run that does not count.
    step_of(begun(True, config))()
    judged = replace(config, governor=replace(config.governor, snapshot_every=NEVER))
    snapshotted = replace(config, governor=replace(config.governor, snapshot_every=CADENCE))
    runs = {"bare": begun(False, config), "judged": begun(True, judged), "snapshotted": begun(True, snapshotted)}
    contest.alternate({name: step_of(run) for name, run in runs.items()}, rounds=ROUNDS)

    for name in ("judged", "snapshotted"):
        assert all(torch.equal(one, other) for one, other in zip(weights(runs[name]), weights(runs["bare"]), strict=True))
    # A quiet machine tells one percent apart; on a busy one the interval is wide, and only what lies wholly above the bar is red.
    assert contest.share("judging", "judged", "bare", "bare").low <= JUDGING_MAX
    assert contest.share("snapshots", "snapshotted", "judged", "bare").low <= SNAPSHOTS_MAX


def test_judging_takes_at_most_one_percent_of_twenty_milliseconds(contest) -> None:
    """What judging does beyond a bare step, timed by itself: the scan of all tensors, the verdict, and remembering it."""
    config = TrainConfig(task="digits", policy="heuristic", envs=1, steps=ROUNDS)
    run = begun(True, config)
    for _ in range(SAMPLES):
        step_of(run)()
    training = run.envs.envs[0].training
    vitals = training.vitals(Point(run.step, 0), Trained(0.1, 1.0), scan=False)
    jury = Jury(config.governor, Limits(config.governor, training.task.chance_loss, training.task.explosion_loss, training.task.prior_loss))

    def judge() -> None:
        training.nonfinite_places()
        jury.remember(jury.judge(vitals), vitals)

    contest.shuffle({"judging": judge}, rounds=200)
    assert contest.median_of("judging") <= JUDGING_MAX * STEP_S
