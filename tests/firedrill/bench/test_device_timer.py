from collections.abc import Iterator

import pytest

from firedrill.bench.device_timer import DeviceTimer


class Event:
    """Happens at the next of some milliseconds, once it was recorded and waited for."""

    def __init__(self, moments: Iterator[float]) -> None:
        self._moments = moments
        self.at: float | None = None
        self.waited = False

    def record(self) -> None:
        self.at = next(self._moments)

    def synchronize(self) -> None:
        assert self.at is not None
        self.waited = True

    def elapsed_time(self, end: "Event") -> float:
        assert self.waited
        assert end.waited
        assert self.at is not None
        assert end.at is not None
        return end.at - self.at


def test_seconds_are_those_between_events_from_the_first_call_on() -> None:
    moments = iter([5000.0, 5002.0, 5005.0])
    timer = DeviceTimer(lambda: Event(moments))
    assert [timer(), timer(), timer()] == pytest.approx([0.0, 0.002, 0.005])
