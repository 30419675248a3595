"""Comparing alternatives within one run: each round times every one of them once, so that a slow moment strikes all alike.

A ratio of times says the same on any machine; a time in seconds says something of one machine and its other users only.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pytest
import torch

RESAMPLES = 2000
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class Benchmark(Protocol):
    """What is used of the fixture of pytest-benchmark."""

    extra_info: dict[str, object]

    def pedantic(self, target: Callable[[], object], *, rounds: int, iterations: int, warmup_rounds: int) -> object: ...


@dataclass(frozen=True, slots=True)
class Ratio:
    """Subject to reference: of the sums of their times with a 95 % bootstrap interval over the rounds, and of the medians."""

    of_sums: float
    low: float
    high: float
    of_medians: float

    def __str__(self) -> str:
        return f"{self.of_sums:.4g} [{self.low:.4g}, {self.high:.4g}], of medians {self.of_medians:.4g}"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, from sums of times, with a 95 % bootstrap interval over the rounds."""

    of_sums: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.of_sums:.2%} [{self.low:.2%}, {self.high:.2%}]"


@dataclass(slots=True)
class Contest:
    """Seconds by subject, of this process's CPU and of the wall."""

    benchmark: Benchmark
    say: Callable[[str], None]
    cpu: dict[str, list[float]] = field(default_factory=dict)
    wall: dict[str, list[float]] = field(default_factory=dict)

    def alternate(self, subjects: Mapping[str, Callable[[], object]], rounds: int) -> None:
        """In one order and backwards in the next, ABBA, so that none always comes first."""
        self._hold(subjects, rounds, lambda number: list(subjects)[:: -1 if number % 2 else 1], warmup_rounds=0)

    def shuffle(self, subjects: Mapping[str, Callable[[], object]], rounds: int) -> None:
        """Every subject once a round, in random order, after ten rounds that do not count."""
        shuffler = random.Random(0)
        self._hold(subjects, rounds, lambda _: shuffler.sample(list(subjects), len(subjects)), warmup_rounds=10)

    def compare(self, subject: str, reference: str) -> Ratio:
        """The ratio of CPU times, which other users of the machine disturb least; both clocks go into the record and on the screen."""
        for clock, seconds in (("cpu", self.cpu), ("wall", self.wall)):
            ratio = ratio_of(seconds[subject], seconds[reference])
            self.benchmark.extra_info[f"{subject} / {reference}, {clock}"] = asdict(ratio)
            self.say(f"{subject} / {reference}, {clock:4} {ratio}")
        return ratio_of(self.cpu[subject], self.cpu[reference])

    def share(self, name: str, subject: str, without: str, whole: str) -> Share:
        """What a subject costs beyond another one, as a part of the whole, in CPU time; both clocks are shown."""
        for clock, seconds in (("cpu", self.cpu), ("wall", self.wall)):
            share = share_of(seconds[subject], seconds[without], seconds[whole])
            self.benchmark.extra_info[f"{name} / {whole}, {clock}"] = asdict(share)
            self.say(f"{name} / {whole}, {clock:4} {share}")
        return share_of(self.cpu[subject], self.cpu[without], self.cpu[whole])

    def median_of(self, subject: str) -> float:
        """Seconds of CPU, the median of all rounds, which a busy machine disturbs least."""
        seconds = statistics.median(self.cpu[subject])
        self.benchmark.extra_info[f"{subject}, cpu"] = seconds
        self.say(f"{subject}, cpu  {seconds * 1e6:.0f} microseconds")
        return seconds

    def _hold(
        self, subjects: Mapping[str, Callable[[], object]], rounds: int, order: Callable[[int], list[str]], warmup_rounds: int
    ) -> None:
        self.cpu = {name: [] for name in subjects}
        self.wall = {name: [] for name in subjects}

        def one_round() -> None:
            for name in order(len(next(iter(self.cpu.values())))):
                cpu, wall = time.process_time(), time.perf_counter()
                subjects[name]()
                self.wall[name].append(time.perf_counter() - wall)
                self.cpu[name].append(time.process_time() - cpu)

        self.benchmark.pedantic(one_round, rounds=rounds, iterations=1, warmup_rounds=warmup_rounds)
        for clock in (self.cpu, self.wall):
            for name, seconds in clock.items():
                clock[name] = seconds[-rounds:]


def ratio_of(subject: list[float], reference: list[float]) -> Ratio:
    """Rounds are drawn in pairs, because what disturbs a round disturbs both."""
    ours, theirs = np.array(subject), np.array(reference)
    low, high = interval(lambda drawn: ours[drawn].sum(axis=-1) / theirs[drawn].sum(axis=-1), len(ours))
    return Ratio(float(ours.sum() / theirs.sum()), low, high, statistics.median(subject) / statistics.median(reference))


def share_of(subject: list[float], without: list[float], whole: list[float]) -> Share:
    """What the subject takes longer, round by round, as a part of the whole."""
    more, parts = np.array(subject) - np.array(without), np.array(whole)
    low, high = interval(lambda drawn: more[drawn].sum(axis=-1) / parts[drawn].sum(axis=-1), len(parts))
    return Share(float(more.sum() / parts.sum()), low, high)


def interval(statistic: Callable[[IntArray], FloatArray], rounds: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of a statistic of drawn rounds [RESAMPLES, rounds]."""
    drawn = np.random.default_rng(0).integers(rounds, size=(RESAMPLES, rounds))
    low, high = np.quantile(statistic(drawn), [0.025, 0.975])
    return float(low), float(high)


@pytest.fixture
def contest(benchmark: Benchmark, capsys: pytest.CaptureFixture[str]) -> Contest:
    """A contest of one thread each; what it says appears on the screen also where the test passes."""
    torch.set_num_threads(1)

    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {text}")

    return Contest(benchmark, say)
