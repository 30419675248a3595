"""How long the phases of a rollback take, for people; nothing is decided by it."""

import time
from collections.abc import Callable

from tolaria.telemetry.governor_events import Durations


class Stopwatch:
    """Adds up seconds by phase. A phase that fails and is begun again has both times; one that never began has none."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._since = clock()
        self._phase = "choose"
        self._seconds = {"choose": 0.0, "validate": 0.0, "rebuild": 0.0, "copy": 0.0, "settle": 0.0}

    def begin(self, phase: str) -> None:
        """A phase begins, and the one before it is over."""
        assert phase in self._seconds, phase
        now = self._clock()
        self._seconds[self._phase] += now - self._since
        self._phase, self._since = phase, now

    def stop(self) -> Durations:
        """The last phase is over."""
        self.begin(self._phase)
        return Durations(**self._seconds)
