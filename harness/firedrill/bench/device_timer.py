"""A clock for pytest-benchmark that runs on the device: it hands out the seconds that lie between events of the current stream."""

from collections.abc import Callable
from typing import Protocol, Self

import torch


class Marked(Protocol):
    """An event of a stream, as far as it is used here."""

    def record(self) -> None:
        """It happens when the stream comes to it."""

    def synchronize(self) -> None:
        """Wait until it has happened."""

    def elapsed_time(self, end: Self) -> float:
        """Milliseconds until another one."""
        ...


class DeviceTimer:
    """Called like `time.perf_counter`; give it to pytest-benchmark as its `timer`.

    It counts from one call to the next, because the device tells milliseconds in few bits, and those of a long way would be coarse.
    """

    def __init__(self, mark: Callable[[], Marked] = lambda: torch.cuda.Event(enable_timing=True)) -> None:
        self._mark = mark
        self._last: Marked | None = None
        self._seconds = 0.0

    def __call__(self) -> float:
        """Seconds on the device since the first call."""
        now = self._mark()
        now.record()
        now.synchronize()
        if self._last is not None:
            self._seconds += self._last.elapsed_time(now) / 1e3
        self._last = now
        return self._seconds
