"""Runs whose steps are timed: begun, and stepped as the trainer steps them."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from firedrill.bench.clock import Sample
from firedrill.bench.ratios import in_turns
from tolaria.policy.heuristic import HeuristicConfig
from tolaria.train.config import TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.trainer import Trainer

# A gardener who looks on and waits, so that a host stays what it is.
WAITING = HeuristicConfig(germinate_until=0.0)
WARMUPS = 2
STEPS = 10**6


def begun(config: TrainConfig, held: ExitStack, folder: Path | None = None, workers: int = 1) -> Trainer:
    """A run before its first step, which is closed in the end."""
    trainer = Trainer.start(config, folder, workers=workers)
    held.callback(trainer.close)
    trainer.run.begin()
    return trainer


def step_of(trainer: Trainer) -> Callable[[], None]:
    """One step as the trainer takes it, with everything that falls due after it."""
    run = trainer.run

    def step() -> None:
        take_step(run)
        if run.step % run.config.rollout_steps == 0:
            finish_rollout(run)
        if run.step % run.config.checkpoint_every == 0:
            trainer.save()

    return step


def warmed_in_turns(
    contestants: Mapping[str, Callable[[], Sample]], rounds: int, after_round: Callable[[], object]
) -> dict[str, list[Sample]]:  # fmt: skip
    """After what only first steps pay for."""
    in_turns(contestants, WARMUPS, after_round)
    return in_turns(contestants, rounds, after_round)
