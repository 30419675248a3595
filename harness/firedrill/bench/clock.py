"""One sample is taken with two clocks: what the thread worked, and what passed meanwhile.

Ratios rest on the thread's own CPU time, because a machine that is shared moves the wall clock by more than what is
measured. Where the two clocks differ much, the caches were shared too, and the case says that it was contended.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# The wall may run ahead by this factor and this many seconds before a sample counts as contended.
AHEAD = 1.25
SLACK_S = 20e-6
# A case is contended where more than this part of its samples is.
CONTENDED_PART = 0.2


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds of one call: CPU of this thread, and wall."""

    cpu: float
    wall: float

    @property
    def contended(self) -> bool:
        """Whether the thread did not have a core all the time."""
        return self.wall > AHEAD * self.cpu + SLACK_S


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles and mean of CPU seconds, and what they rest on: `seconds` are all of them."""

    p10: float
    median: float
    mean: float
    p99: float
    wall_median: float
    samples: int
    contended: bool
    seconds: tuple[float, ...] = ()


def sample(call: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> Sample:
    """Time one call; the wall clock is the outer one."""
    wall, cpu = time.perf_counter(), clock()
    call()
    worked = clock() - cpu
    return Sample(worked, time.perf_counter() - wall)


def process_sample(call: Callable[[], object]) -> Sample:
    """Time one call, by the CPU of all threads of this process."""
    return sample(call, time.process_time)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is measured: the device, how a call is timed there, and which of its two clocks decides.

    `worked` times what a call keeps the device at work, where that is something else than the host.
    """

    device: str
    sample: Callable[[Callable[[], object]], Sample]
    clock: str
    worked: Callable[[Callable[[], object]], Sample] | None = None


THREAD = Place("cpu", sample, "cpu")
PROCESS = Place("cpu", process_sample, "cpu")


def spread(samples: Sequence[Sample]) -> Spread:
    """What many samples come to."""
    assert samples, "nothing was sampled"
    p10, median, p99 = (float(value) for value in np.percentile([one.cpu for one in samples], (10, 50, 99)))
    mean = float(np.mean([one.cpu for one in samples]))
    wall = float(np.median([one.wall for one in samples]))
    contended = sum(one.contended for one in samples) > CONTENDED_PART * len(samples)
    return Spread(p10, median, mean, p99, wall, len(samples), contended, tuple(one.cpu for one in samples))
