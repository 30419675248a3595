"""Healthy streams: the vitals of real runs, recorded as they were measured, and more of them made of their noise."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.lifecycle.seed import Blend
from tolaria.policy.heuristic import HeuristicConfig
from tolaria.seams import VITALS_MEASURED, Seam
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.trainer import Trainer
from tolaria.vitals import Outputs, Vitals

T = TypeVar("T")
FloatArray = npt.NDArray[np.float64]
# The vitals of one host with the name of its task.
Healthy = tuple[str, Sequence[Vitals]]
IntArray = npt.NDArray[np.int64]

# A stream's noise is what is left of its log-loss when a median of so many steps around each is taken away.
TREND = 9
# Noise is drawn in blocks, because neighbouring steps resemble each other.
BLOCK = 20
# A resampled block is one of so many, those that were recorded where everything was most alike.
ALIKE = 32
# Losses below it are taken for it, because a logarithm of zero is no number.
LEAST = 1e-6
# Of a part of 0 or 1 nobody knows the odds; four of a thousand answers are as near as a validation split can tell.
ODDS_LEAST = 4e-3


@dataclass(frozen=True, slots=True)
class Stream:
    """One episode of one host: what was measured, and its trend and noise step by step, both [T, 4].

    The columns are the logarithm of the loss and the log-odds of the accuracy, of the part of the mean answer's entropy that
    is information, and of the share of the most popular class; noise is what is left when the trend is taken away. `levels` [T]
    is the trend of the loss in units of chance loss.
    """

    task: str
    seed: int
    env: int
    vitals: tuple[Vitals, ...]

    trend: FloatArray = field(init=False, repr=False, compare=False)
    noise: FloatArray = field(init=False, repr=False, compare=False)
    levels: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = np.array([_columns(vitals) for vitals in self.vitals])  # [T, 4]
        half = TREND // 2
        trend = np.array([np.median(columns[max(0, i - half) : i + half + 1], axis=0) for i in range(len(columns))])
        object.__setattr__(self, "trend", trend)
        object.__setattr__(self, "noise", columns - trend)
        object.__setattr__(self, "levels", np.exp(trend[:, 0]) / TASKS[self.task]().chance_loss)


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


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way of training that works, with the shocks of growth that are part of it. `rate` None is the task's learning rate."""

    task: str
    optimizer: str = "sgd"
    rate: float | None = None
    blend: Blend = Blend.ADD
    tempo: int = 5
    batches: int = 5


# Learning rates from a third of the task's to three times it, and both optimizers; a fast blend shakes a host more than a slow one.
RECIPES = (
    Recipe("spirals"),
    Recipe("digits"),
    Recipe("spirals", rate=0.03, blend=Blend.MULTIPLY, tempo=3),
    Recipe("digits", "adam", 0.002, tempo=3),
    Recipe("spirals", "adam", 0.01),
    Recipe("digits", rate=0.06, blend=Blend.MULTIPLY, tempo=3),
    Recipe("spirals", rate=0.3, tempo=3),
    Recipe("digits_impaired"),
)


def record(recipe: Recipe, seed: int, steps: int) -> Iterator[Stream]:
    """A real run that nobody governs, two environments with growth; a new host every half of the steps."""
    recorder = Recorder()
    config = TrainConfig(
        task=recipe.task,
        envs=2,
        steps=steps,
        seed=seed,
        episode_steps=max(1, steps // 2),
        training=TrainingConfig(batches_per_step=recipe.batches, optimizer=recipe.optimizer, learning_rate=recipe.rate),
        heuristic=HeuristicConfig(blend=recipe.blend, tempo=recipe.tempo),
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
        yield Stream(recipe.task, seed, env, tuple(vitals))


class NoisePool:
    """Blocks of recorded noise by what was going on where they were recorded: a loss near zero is relatively noisier than a high one.

    They begin at the steps `skip`, ..., `last` of their streams; without a `last`, as late as they can.
    """

    def __init__(self, streams: Sequence[Stream], skip: int = 0, last: int | None = None) -> None:
        found = [
            (float(np.median(one.levels[begin : begin + BLOCK])), one.noise[begin : begin + BLOCK], one.trend[begin : begin + BLOCK])
            for one in streams
            for begin in range(skip, (len(one.vitals) - BLOCK if last is None else last) + 1, BLOCK // 4)
        ]
        found.sort(key=lambda three: three[0])
        self._levels = [level for level, _, _ in found]
        self._blocks = [noise for _, noise, _ in found]
        self._trends = np.array([np.median(trend, axis=0) for *_, trend in found])  # [B, 4]
        self._scale = self._trends.std(axis=0) + LEAST

    def at_level(self, level: float, steps: int, rng: np.random.Generator) -> FloatArray:
        """Noise [T, 4] for so many steps at a level of the loss, from the eighth of all blocks that were recorded nearest to it."""
        nearest = max(1, len(self._levels) // 8)
        begin = min(max(0, bisect_left(self._levels, level) - nearest // 2), len(self._levels) - nearest)
        return self._drawn(range(begin, begin + nearest), steps, rng)

    def alike(self, trend: FloatArray) -> list[IntArray]:
        """For each block of a trend [T, 4] the blocks that were recorded where loss, accuracy and answers were most alike."""
        found = []
        for start in range(0, len(trend), BLOCK):
            ours = np.median(trend[start : start + BLOCK], axis=0)
            distances = (((self._trends - ours) / self._scale) ** 2).sum(axis=1)
            found.append(np.argsort(distances, kind="stable")[:ALIKE])
        return found

    def along(self, alike: Sequence[IntArray], steps: int, rng: np.random.Generator, directed: bool = False) -> FloatArray:
        """Noise [T, 4] for so many steps, each block one of those that are alike; `directed`: none is read backwards."""
        return np.concatenate([self._drawn(blocks, BLOCK, rng, directed) for blocks in alike])[:steps]

    def _drawn(self, blocks: Sequence[int] | IntArray, steps: int, rng: np.random.Generator, directed: bool = False) -> FloatArray:
        drawn = []
        for _ in range(0, steps, BLOCK):
            block = self._blocks[blocks[int(rng.integers(len(blocks)))]]
            # Noise has no direction in time: the other half of all blocks comes from reading backwards.
            drawn.append(block[::-1] if not directed and rng.integers(2) else block)
        return np.concatenate(drawn)[:steps]


def with_noise(base: Stream, noise: FloatArray) -> list[Vitals]:
    """The same trend with other noise [T, 4]; loss, accuracy and answers change together, as they did where it was recorded."""
    return [_noisy(vitals, row) for vitals, row in zip(base.vitals, (base.trend + noise).tolist(), strict=True)]


def resampled(streams: Sequence[Stream], rng: np.random.Generator) -> Iterator[Healthy]:
    """Endlessly more healthy streams: the trend of one, with blocks of the noise of others of its task laid over it.

    A stream that is drawn a thousand times holds the same trend a thousand times; such steps count for less than recorded ones.
    """
    by_task = {task: [one for one in streams if one.task == task] for task in {one.task for one in streams}}
    # A life begins with a change: within a block its loss falls from chance to a tenth of it. The noise of good hosts does not
    # fit there, nor that of beginnings anywhere else, nor any of it backwards.
    beginnings = {task: NoisePool(those, last=0) for task, those in by_task.items()}
    lives = {task: NoisePool(those, skip=BLOCK) for task, those in by_task.items()}
    alike = [(beginnings[one.task].alike(one.trend[:BLOCK]), lives[one.task].alike(one.trend[BLOCK:])) for one in streams]
    while True:
        chosen = int(rng.integers(len(streams)))
        base, (first, others) = streams[chosen], alike[chosen]
        begun = beginnings[base.task].along(first, BLOCK, rng, directed=True)
        noise = np.concatenate([begun, lives[base.task].along(others, len(base.vitals) - BLOCK, rng)])
        yield base.task, with_noise(base, noise)


def _columns(vitals: Vitals) -> tuple[float, float, float, float]:
    seen = vitals.outputs or Outputs(0.0, 1.0, 0.0)
    said = seen.mutual_information / max(seen.mean_entropy, LEAST)
    return math.log(max(vitals.val_loss, LEAST)), _log_odds(vitals.val_accuracy), _log_odds(said), _log_odds(seen.largest_share)


def _noisy(vitals: Vitals, row: Sequence[float]) -> Vitals:
    loss, accuracy, said, share = row
    seen = vitals.outputs
    if seen is not None:
        seen = Outputs(seen.mean_entropy / (1.0 + math.exp(-said)), seen.mean_entropy, 1.0 / (1.0 + math.exp(-share)))
    right = 1.0 / (1.0 + math.exp(-accuracy))
    return Vitals(vitals.step, vitals.train_loss, math.exp(loss), right, vitals.gradient_norm, vitals.nonfinite, seen)


def _log_odds(part: float) -> float:
    inside = min(max(part, ODDS_LEAST), 1.0 - ODDS_LEAST)
    return math.log(inside / (1.0 - inside))


def limits_of(task: str, config: GovernorConfig) -> Limits:
    """What the detectors of a task are built from."""
    found = TASKS[task]()
    return Limits(config, found.chance_loss, found.explosion_loss, found.prior_loss)
