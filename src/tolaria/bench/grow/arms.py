"""One run of one arm: the same hosts, batches and governor for all of them, and a count of what each multiplies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import mean

import torch

from tolaria.bench.grow.large import enlarged
from tolaria.bench.grow.macs import Meter
from tolaria.env.config import TrainingConfig
from tolaria.env.training import HostTraining
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.lifecycle.stage import Stage
from tolaria.policy.learned import LearnedPolicy
from tolaria.policy.schedule import ScheduleConfig
from tolaria.ppo.config import PpoConfig
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event
from tolaria.telemetry.growth_events import RewardExplained, StageChanged
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import EpisodeFinished
from tolaria.train.config import TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.run import Run
from tolaria.train.warm_start import warm_start

SMALL, LARGE = "static-small", "static-large"
STATIC = (SMALL, LARGE)
# In the order of the table. The first of them is what nobody controls.
GROWING = ("random", "schedule", "heuristic", "ppo")
# A small host that has ten times the epochs and still does not come near a large one lacks size, and not time.
PATIENCE = 10
# No bound: a static host is trained until it has made as many products as a grown one.
STEPS_MAX = 1_000_000
# When the first seed of a schedule may begin, in steps.
SCHEDULE_BEGINS = (0, 5)
CPU = torch.device("cpu")

# How the controller learns: what growing brings comes late, so that little is discounted.
LEARNING = PpoConfig(gamma=0.999, gae_lambda=0.98, epochs=8, minibatches=4, lr=5e-4)

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for all arms: a task, decision steps of an episode and batches of a step; and how the controller learns.

    `updates` of the controller are `envs` episodes each, and `warm_start` episodes of the heuristic come before.
    """

    task: str
    steps: int = 60
    batches_per_step: int = 10
    envs: int = 16
    updates: int = 16
    warm_start: int = 16
    schedule: ScheduleConfig = ScheduleConfig()

    def config(self, policy: str, seed: int, envs: int = 1, episodes: int = 1) -> TrainConfig:
        """The configuration of a run."""
        return TrainConfig(
            task=self.task,
            policy=policy,
            envs=envs,
            steps=self.steps * episodes,
            episode_steps=self.steps,
            rollout_steps=self.steps,
            seed=seed,
            training=TrainingConfig(batches_per_step=self.batches_per_step),
            schedule=self.schedule,
            ppo=replace(LEARNING, warm_start=self.warm_start, minibatches=min(LEARNING.minibatches, envs)),
        )


@dataclass(frozen=True, slots=True)
class Grown:
    """How one run ended. `reward` is its return, of which `rent` is a (negative) part; `curve` is (MACs so far, test accuracy) by step."""

    arm: str
    seed: int
    test_accuracy: float
    val_accuracy: float
    macs: int
    parameters: int
    reward: float
    rent: float
    rollbacks: int
    germinated: int
    committed: int
    curve: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """One update of the controller: means over the episodes it learnt from."""

    reward: float
    test_accuracy: float
    germinated: float
    committed: float


def grow(plan: Plan, arm: str, seed: int, weights: Weights | None = None) -> Grown:
    """A whole episode of one growing arm; `weights` are those of a learnt controller."""
    history, meter = History(), Meter()
    run = Run(plan.config(arm, seed), CPU, history, meter)
    if weights is not None:
        assert isinstance(run.policy, LearnedPolicy), arm
        run.policy.net.load_state_dict(dict(weights))
    _drive(run, meter)
    (ended,) = [event for event in history.events if isinstance(event, EpisodeFinished)]
    moves = [event.stage_to for event in history.events if isinstance(event, StageChanged)]
    return Grown(
        arm,
        seed,
        ended.test_accuracy,
        ended.val_accuracy,
        sum(meter.by_step),
        ended.parameters,
        ended.total_reward,
        sum(event.rent for event in history.events if isinstance(event, RewardExplained)),
        ended.rollbacks,
        moves.count(Stage.GERMINATED),
        moves.count(Stage.FOSSILIZED),
    )


def hold(plan: Plan, arm: str, seed: int, budget: int) -> Grown:
    """A host that never grows, for all steps of the plan (the small one for many more) and until it has used a budget of MACs.

    Its learning rate does not know when it will end, so that every point of its curve is the end of a run of that length.
    """
    accuracies: list[float] = []

    def note(training: HostTraining) -> None:
        accuracies.append(training.validate("test")[1])

    history, meter = History(), Meter(note)
    task = enlarged(TASKS[plan.task]()) if arm == LARGE else None
    run = Run(replace(plan.config("noop", seed), steps=STEPS_MAX, episode_steps=None), CPU, history, meter, task)
    run.begin()
    spent, reward, val_accuracy = 0, 0.0, 0.0
    while run.step < plan.steps * (PATIENCE if arm == SMALL else 1) or spent < budget:
        take_step(run)
        spent += meter.by_step[-1]
        if run.step % plan.steps == 0:
            finish_rollout(run)
        if run.step == plan.steps:
            reward, val_accuracy = run.tallies[0].total_reward, run.envs.envs[0].training.validate()[1]
    meter.close()
    curve = tuple(zip(accumulate(meter.by_step), accuracies, strict=True))
    macs, accuracy = curve[plan.steps - 1]
    parameters = run.envs.envs[0].training.host.host_parameters()
    return Grown(arm, seed, accuracy, val_accuracy, macs, parameters, reward, 0.0, run.tallies[0].rollbacks, 0, 0, curve)


def teach(plan: Plan, seed: int) -> tuple[Weights, tuple[Lesson, ...]]:
    """A controller that has learnt on hosts of a training seed, and how it came to that."""
    history = History()
    run = Run(plan.config("ppo", seed, plan.envs, plan.updates), CPU, history, NO_TAPS)
    assert isinstance(run.policy, LearnedPolicy)
    warm_start(run)
    run.begin()
    lessons, seen = [], 0
    while not run.finished:
        take_step(run)
        if run.step % plan.steps == 0:
            finish_rollout(run)
            lessons.append(_lesson(history.events[seen:], plan.envs))
            seen = len(history.events)
    return {name: tensor.detach().clone() for name, tensor in run.policy.net.state_dict().items()}, tuple(lessons)


def best_schedule(plan: Plan, seeds: Sequence[int]) -> ScheduleConfig:
    """The schedule that ends with the best validation accuracy on training seeds, of a few that differ in what begins when."""
    family = TASKS[plan.task]().family
    fitting = [name for name, blueprint in BLUEPRINTS.items() if blueprint.family == family]
    candidates = [replace(plan.schedule, begin=begin, blueprint=name) for name in fitting[-2:] for begin in SCHEDULE_BEGINS]

    def score(schedule: ScheduleConfig) -> float:
        return mean(grow(replace(plan, schedule=schedule), "schedule", seed).val_accuracy for seed in seeds)

    return max(candidates, key=score)


def _drive(run: Run, meter: Meter) -> None:
    run.begin()
    while not run.finished:
        take_step(run)
    meter.close()


def _lesson(events: Sequence[Event], episodes: int) -> Lesson:
    ended = [event for event in events if isinstance(event, EpisodeFinished)]
    moves = [event.stage_to for event in events if isinstance(event, StageChanged)]
    return Lesson(
        mean(event.total_reward for event in ended) if ended else math.nan,
        mean(event.test_accuracy for event in ended) if ended else math.nan,
        moves.count(Stage.GERMINATED) / episodes,
        moves.count(Stage.FOSSILIZED) / episodes,
    )
