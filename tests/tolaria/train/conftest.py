"""A small run in which everything happens, written by hand; and small real runs, struck where a test wants it."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch

from tolaria.env.config import TrainingConfig
from tolaria.lifecycle.stage import Stage
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.row import Row
from tolaria.ppo.update import recomputed_log_probs
from tolaria.seams import ROLLOUT_READY, WEIGHTS_UPDATED, Seam, T
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import (
    Collapsed,
    Decision,
    EnvironmentRetired,
    PenaltyDelivered,
    Remedy,
    RolledBack,
    Rung,
    SnapshotTaken,
    Suspected,
    Work,
)
from tolaria.telemetry.growth_events import ActionRefused, SlotRestored, StageChanged
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import (
    EpisodeFinished,
    PolicyRestored,
    RolloutFinished,
    RunFinished,
    RunStarted,
    StepFinished,
    UpdateFinished,
)
from tolaria.train.config import TrainConfig
from tolaria.train.run import Run
from tolaria.train.trainer import Trainer

STEPS = 24


def move(step: int, env: int, slot: str, generation: int, stages: tuple[Stage, Stage], initiator: str = "policy") -> StageChanged:
    """A seed's move; blueprints follow from the slot."""
    blueprint = {"s0": "conv_light", "s1": "norm"}[slot]
    reason = {"policy": "", "governor": "rollback", "time": ""}[initiator]
    return StageChanged(Point(step, env), slot, generation, blueprint, *stages, reason, initiator)


def finished(step: int, env: int, loss: float) -> StepFinished:
    """The end of a step with a given loss."""
    return StepFinished(Point(step, env), "wait", "", True, loss, loss, 1 - loss / 2.4 if loss < 2.4 else 0.1, 1.0, 0.05)


# The moves of environment 0 and 1 by step.
MOVES: dict[int, list[Event]] = {
    1: [
        move(1, 0, "s0", 1, (Stage.DORMANT, Stage.GERMINATED)),
        move(1, 1, "s1", 1, (Stage.DORMANT, Stage.GERMINATED)),
    ],
    2: [move(2, 0, "s0", 1, (Stage.GERMINATED, Stage.TRAINING)), move(2, 1, "s1", 1, (Stage.GERMINATED, Stage.TRAINING))],
    3: [ActionRefused(Point(3, 0), "advance", "s0", "trained for 1 steps, 3 are needed")],
    5: [move(5, 0, "s0", 1, (Stage.TRAINING, Stage.BLENDING)), move(5, 1, "s1", 1, (Stage.TRAINING, Stage.BLENDING))],
    10: [move(10, 0, "s0", 1, (Stage.BLENDING, Stage.HOLDING))],
    12: [move(12, 0, "s0", 1, (Stage.HOLDING, Stage.FOSSILIZED))],
    13: [move(13, 0, "s1", 1, (Stage.DORMANT, Stage.GERMINATED))],
    15: [move(15, 0, "s1", 1, (Stage.GERMINATED, Stage.TRAINING))],
}


def collapse_and_rollback(step: int, env: int, snapshot: tuple[int, int], life: int) -> list[Event]:
    """What one collapse leaves in a history."""
    at = Point(step, env)
    decision = Decision("explosion", 40.0, 3.5, 1.2, 0.1, 1, (1.3, 1.2, None), (3, 8))
    return [
        Collapsed(at, "explosion", 40.0, 3.5, 1, "validation loss over threshold"),
        move(step, env, "s1", 1, (Stage.BLENDING if env else Stage.TRAINING, Stage.PRUNED), "governor"),
        SlotRestored(at, "s1", 0, Stage.PRUNED, Stage.DORMANT),
        RolledBack(at, snapshot[0], snapshot[1], decision, ("s1",), "restore", Remedy(Rung.NEWEST, None, None), Work(1, 400), life),
        PenaltyDelivered(at, -10.0, step),
    ]


@pytest.fixture
def eventful_run() -> list[Event]:
    """Two environments of 24 steps: each rolls back once, the second is retired afterwards, the first fossilizes a seed."""
    config = json.dumps({"task": {"name": "digits", "batch": 64}, "policy": "heuristic"})
    events: list[Event] = [RunStarted(Point(0), 7, config, "0123abc", (("torch", "2.13.0"), ("tolaria", "0.1.0")), ("s0", "s1"), 2.302585)]
    for step in range(STEPS):
        events += MOVES.get(step, [])
        if step % 4 == 0:
            events += [SnapshotTaken(Point(step, env), step // 4, "ab" * 16, 1000, "cadence") for env in (0, 1) if env == 0 or step < 9]
        if step == 17:
            events += collapse_and_rollback(17, 0, (4, 16), 1)
        if step == 9:
            events += [Suspected(Point(9, 1), "drift", 2.0, 1.9, 1), *collapse_and_rollback(9, 1, (1, 4), 1)]
            events.append(EnvironmentRetired(Point(9, 1), 1, "rollback budget of 1 spent"))
        events.append(finished(step, 0, 40.0 if step == 17 else 2.4 * 0.9**step))
        if step < 10:
            events.append(finished(step, 1, float("nan") if step == 9 else 2.4 * 0.95**step))
    events += [RolloutFinished(Point(23), 33, 2), UpdateFinished(Point(23), 0.02, 1.5, 3.1, 0.01, 4, "")]
    events += [
        UpdateFinished(Point(23), None, None, None, None, 0, "gradients are not finite"),
        PolicyRestored(Point(23), "entropy collapsed"),
    ]
    events.append(EpisodeFinished(Point(23, 0), 0, 24, -8.8, 1, 0.91, 0.9, 12345))
    return [*events, RunFinished(Point(23), (0.9, None))]


@dataclass(slots=True)
class Witness:
    """Taps that put NaN into a host's head after the first batch of given (step, environment), and keep every finished rollout.

    `drift` is the largest difference between a stored log-probability and what the unroll of the update makes of it.
    """

    strikes: frozenset[tuple[int, int]] = frozenset()
    run: Run | None = None
    rollouts: list[list[tuple[Row, ...]]] = field(default_factory=list)
    rewards: list[torch.Tensor] = field(default_factory=list)
    advantages: list[torch.Tensor] = field(default_factory=list)
    drift: float = 0.0

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """Strike, or look."""
        if seam is WEIGHTS_UPDATED and (at.step, at.env) in self.strikes and at.batch == 0:
            poison(value.host)  # type: ignore[attr-defined]  # the seam passes a trainee
        if seam is ROLLOUT_READY:
            assert isinstance(value, RolloutBuffer)
            self._look(value)
        return value

    def _look(self, buffer: RolloutBuffer) -> None:
        self.rollouts.append([buffer.rows(env) for env in range(buffer.num_envs)])
        self.rewards.append(buffer.rewards)
        self.advantages.append(buffer.advantages)
        if self.run is not None and self.run.learner is not None:
            rollout = buffer.stacked()
            recomputed = recomputed_log_probs(self.run.learner.agent, buffer)
            self.drift = max(self.drift, float((recomputed - torch.where(rollout.valid, rollout.log_probs, 0.0)).abs().max()))

    def rows(self, env: int) -> list[Row]:
        """All rows of an environment, over all rollouts."""
        return [row for rollout in self.rollouts for row in rollout[env]]


def poison(host: torch.nn.Module) -> None:
    """NaN in the last layer, as a diverged step leaves it."""
    with torch.no_grad():
        next(host.get_submodule("head").parameters()).fill_(math.nan)


@pytest.fixture
def small_config() -> Callable[..., TrainConfig]:
    """Twelve steps of three environments on spirals, two batches each; anything may be said otherwise."""

    def build(policy: str = "heuristic", **other: object) -> TrainConfig:
        settings: dict[str, object] = {
            "task": "spirals",
            "envs": 3,
            "steps": 12,
            "rollout_steps": 6,
            "checkpoint_every": 1000,
            "training": TrainingConfig(batches_per_step=2),
        }
        return TrainConfig(policy=policy, **(settings | other))  # type: ignore[arg-type]  # a test names fields as it needs them

    return build


@pytest.fixture
def run_struck() -> Callable[..., tuple[Trainer, Witness]]:
    """Run a config in memory, to its end, with strikes at (step, environment); `prepare` may change the run before."""

    def run(config: TrainConfig, *strikes: tuple[int, int], prepare: Callable[[Run], None] | None = None) -> tuple[Trainer, Witness]:
        witness = Witness(frozenset(strikes))
        trainer = Trainer.tapped(config, History(), witness)
        witness.run = trainer.run
        if prepare is not None:
            prepare(trainer.run)
        assert trainer.train()
        return trainer, witness

    return run
