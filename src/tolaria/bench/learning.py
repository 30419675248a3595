"""Does the PPO learn what it should? Environments that others know, and small ones that need masks or memory, with the bars for each."""

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import torch

from tolaria.bench.illegal import illegal_probability
from tolaria.environments.named import maker
from tolaria.practice.evaluation import evaluate
from tolaria.practice.presets import preset
from tolaria.practice.training import Episode, Practised, train_env

SCHEMA = "tolaria.bench.ppo/1.0"
EPISODES = 100
# What is illegal has a finite logit, and its probability has to vanish in single precision.
ILLEGAL_MAX = 1e-7
# A learning curve is kept as the means of so many parts of the run.
CURVE_POINTS = 60


@dataclass(frozen=True, slots=True)
class Lesson:
    """One environment: how long it is practised, and between which bounds the mean return of new episodes has to be afterwards."""

    name: str
    env: str
    steps: int
    seeds: int
    at_least: float
    at_most: float | None = None
    memory: str | None = None
    masked: bool = False


LESSONS = (
    Lesson("cartpole", "CartPole-v1", 100_000, 3, 475.0),
    Lesson("acrobot", "Acrobot-v1", 100_000, 3, -95.0),
    Lesson("counting", "tolaria/MaskedCounting-v0", 60_000, 1, 6.5, masked=True),
    Lesson("t-maze", "tolaria/TMaze-v0", 50_000, 3, 0.95),
    # Without a memory the turn is a guess, and guesses cancel out.
    Lesson("t-maze-memoryless", "tolaria/TMaze-v0", 50_000, 1, -0.25, 0.25, memory="none"),
    Lesson("cards", "tolaria/RepeatPrevious-v0", 200_000, 1, 0.30),
)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of one lesson with one seed. `illegal`: the largest probability of an illegal action, None where there are no masks."""

    lesson: Lesson
    seed: int
    mean: float
    worst: float
    cpu_s: float
    steps: int
    curve: tuple[tuple[int, float], ...]
    illegal: float | None = None

    @property
    def passed(self) -> bool:
        """Whether every bar is reached."""
        within = self.lesson.at_least <= self.mean and (self.lesson.at_most is None or self.mean <= self.lesson.at_most)
        return within and (self.illegal is None or self.illegal < ILLEGAL_MAX)


def learn(lesson: Lesson, seed: int) -> Learnt:
    """Practise, and try the agent in new episodes."""
    make_env = maker(lesson.env)
    before = time.process_time()
    done = train_env(make_env, preset(lesson.env, lesson.steps, lesson.memory), seed, lesson.steps)
    cpu_s = time.process_time() - before
    returns = evaluate(done, make_env, EPISODES, seed)
    illegal = illegal_probability(done, make_env, seed) if lesson.masked else None
    mean = sum(returns) / len(returns)
    return Learnt(lesson, seed, mean, min(returns), cpu_s, done.steps, curve_of(done), illegal)


def curve_of(practised: Practised) -> tuple[tuple[int, float], ...]:
    """Mean return of the episodes that ended in each part of the run."""
    parts: dict[int, list[Episode]] = {}
    for episode in practised.episodes:
        parts.setdefault((episode.at - 1) * CURVE_POINTS // practised.steps, []).append(episode)
    return tuple((part[-1].at, sum(one.reward for one in part) / len(part)) for _, part in sorted(parts.items()))


def chosen(names: Iterable[str]) -> list[tuple[Lesson, int]]:
    """Each lesson of these names with each of its seeds."""
    wanted = set(names)
    return [(lesson, seed) for lesson in LESSONS if lesson.name in wanted for seed in range(lesson.seeds)]


def curriculum(cells: Iterable[tuple[Lesson, int]], done: Callable[[Learnt], None]) -> Iterator[Learnt]:
    """One after the other; each is handed to `done` when it is over."""
    for lesson, seed in cells:
        learnt = learn(lesson, seed)
        done(learnt)
        yield learnt


def panels(learnt: Iterable[Learnt]) -> dict[str, dict[str, tuple[tuple[int, float], ...]]]:
    """The curves of each environment."""
    found: dict[str, dict[str, tuple[tuple[int, float], ...]]] = {}
    for one in learnt:
        memoryless = ", without memory" if one.lesson.memory == "none" else ""
        found.setdefault(one.lesson.env, {})[f"seed {one.seed}{memoryless}"] = one.curve
    return found


def to_value(learnt: list[Learnt], speed: dict[str, object] | None, complete: bool) -> dict[str, object]:
    """Everything as a value of JSON."""
    cells = [asdict(one) | {"passed": one.passed, "steps_per_cpu_s": one.steps / one.cpu_s} for one in learnt]
    versions = {"python": platform.python_version(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    return {"schema": SCHEMA, "complete": complete, "versions": versions, "cells": cells, "speed": speed}


def told(learnt: list[Learnt]) -> Iterator[str]:
    """A line for each."""
    for one in learnt:
        bar = f">= {one.lesson.at_least:g}" if one.lesson.at_most is None else f"{one.lesson.at_least:g} to {one.lesson.at_most:g}"
        illegal = "" if one.illegal is None else f", illegal probability {one.illegal:.2g} (< {ILLEGAL_MAX:g})"
        rate = f"{one.steps / one.cpu_s:,.0f} steps/CPU-s"
        yield (
            f"{'reached' if one.passed else 'MISSED ':<8} {one.lesson.name:<18} seed {one.seed}  {one.steps:>7,} steps  "
            f"return {one.mean:8.3f} ({bar}), worst {one.worst:.3g}{illegal}  {rate}"
        )
