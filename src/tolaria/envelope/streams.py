"""Healthy streams: the vitals of real runs, recorded as they were measured, and more of them made of their noise."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TypeVar

import numpy as np

from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.seams import VITALS_MEASURED, Seam
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.trainer import Trainer
from tolaria.vitals import Vitals

T = TypeVar("T")

# A stream's noise is what is left of its log-loss when a median of so many steps around each is taken away.
TREND = 9
# Noise is drawn in blocks, because neighbouring steps resemble each other.
BLOCK = 20


@dataclass(frozen=True, slots=True)
class Stream:
    """One episode of one host: trend of its loss in units of chance loss, and its noise, log-loss less the trend, step by step."""

    task: str
    seed: int
    env: int
    vitals: tuple[Vitals, ...]

    levels: tuple[float, ...] = field(init=False)
    noise: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        chance = TASKS[self.task]().chance_loss
        logs = [math.log(max(vitals.val_loss, 1e-6)) for vitals in self.vitals]
        half = TREND // 2
        trend = [median(logs[max(0, i - half) : i + half + 1]) for i in range(len(logs))]
        object.__setattr__(self, "levels", tuple(math.exp(log) / chance for log in trend))
        object.__setattr__(self, "noise", tuple(log - middle for log, middle in zip(logs, trend, strict=True)))


@dataclass(slots=True)
class Recorder:
    """Taps that keep vitals as they pass, and change nothing. `episode` is the number of each environment's present one."""

    kept: dict[tuple[int, int], list[Vitals]] = field(default_factory=dict)
    episode: dict[int, int] = field(default_factory=dict)

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """The value as it came."""
        if seam == VITALS_MEASURED and isinstance(value, Vitals) and at.env is not None:
            self.kept.setdefault((at.env, self.episode.get(at.env, 0)), []).append(value)
        return value


def record(task: str, seeds: Sequence[int], steps: int, batches: int = 5, policy: str = "heuristic") -> Iterator[Stream]:
    """Real runs that nobody governs, two environments each, with growth; a new host every half of the steps."""
    for seed in seeds:
        recorder = Recorder()
        config = TrainConfig(
            task=task,
            policy=policy,
            envs=2,
            steps=steps,
            seed=seed,
            episode_steps=max(1, steps // 2),
            training=TrainingConfig(batches_per_step=batches),
            governor=GovernorConfig(enabled=False),
        )
        run = Trainer.tapped(config, History(), recorder).run
        run.begin()
        while not run.finished:
            take_step(run)
            if run.step % config.rollout_steps == 0:
                finish_rollout(run)
            recorder.episode = {env.env: env.episode for env in run.envs.envs}
        for (env, _), vitals in sorted(recorder.kept.items()):
            yield Stream(task, seed, env, tuple(vitals))


class NoisePool:
    """Blocks of recorded noise by the level at which they were recorded: a loss near zero is relatively noisier than a high one."""

    def __init__(self, streams: Sequence[Stream], skip: int = 0) -> None:
        found = [
            (median(one.levels[begin : begin + BLOCK]), one.noise[begin : begin + BLOCK])
            for one in streams
            for begin in range(skip, len(one.vitals) - BLOCK + 1, BLOCK // 4)
        ]
        self._blocks = sorted(found, key=lambda pair: pair[0])

    def draw(self, levels: Sequence[float], rng: np.random.Generator) -> list[float]:
        """Noise for steps at these levels (units of chance loss): each block from those recorded nearest to it, maybe backwards."""
        drawn: list[float] = []
        known = [level for level, _ in self._blocks]
        nearest = max(1, len(known) // 8)
        while len(drawn) < len(levels):
            place = bisect_left(known, median(levels[len(drawn) : len(drawn) + BLOCK]))
            begin = min(max(0, place - nearest // 2), len(known) - nearest)
            block = self._blocks[begin + int(rng.integers(nearest))][1]
            drawn.extend(block[::-1] if rng.integers(2) else block)
        return drawn[: len(levels)]


def resampled(streams: Sequence[Stream], rng: np.random.Generator) -> Iterator[Stream]:
    """Endlessly more healthy streams: the trend of one, with blocks of the noise of others of its task laid over it."""
    pools = {task: NoisePool([one for one in streams if one.task == task]) for task in {one.task for one in streams}}
    while True:
        base = streams[int(rng.integers(len(streams)))]
        noise = pools[base.task].draw(base.levels, rng)
        changed = (
            replace(vitals, val_loss=vitals.val_loss * math.exp(more - own))
            for vitals, own, more in zip(base.vitals, base.noise, noise, strict=True)
        )
        yield replace(base, vitals=tuple(changed))


def limits_of(task: str, config: GovernorConfig) -> Limits:
    """What the detectors of a task are built from."""
    found = TASKS[task]()
    return Limits(config, found.chance_loss, found.explosion_loss, found.prior_loss)
