"""The clocks of a device that is played: it has a time of its own, which the host shares only where it waits."""

import time
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from firedrill.bench.device_clock import BUSY_CYCLES, CudaClock, place_of

# Seconds that the device is busy for, and that the host needs for any call.
BUSY, HOST = 0.01, 0.001


class Device:
    """Work is queued by the host and done after all that was queued before; times are in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done_at = 0.0
        self.mode = "default"
        self.cuda = SimpleNamespace(
            synchronize=self.synchronize, _sleep=self.sleep, Event=self.event, set_sync_debug_mode=lambda mode: setattr(self, "mode", mode)
        )

    def synchronize(self) -> None:
        self.now = max(self.now, self.done_at)

    def sleep(self, cycles: int) -> None:
        assert cycles == BUSY_CYCLES
        self.work(BUSY)

    def work(self, seconds: float) -> None:
        self.done_at = max(self.now, self.done_at) + seconds

    def event(self, enable_timing: bool) -> Any:
        assert enable_timing
        mark = SimpleNamespace(at=0.0)
        mark.record = lambda: setattr(mark, "at", max(self.now, self.done_at))
        mark.elapsed_time = lambda other: 1e3 * (other.at - mark.at)
        return mark

    def call(self) -> None:
        self.now += HOST
        self.work(0.004)

    def waiting_call(self) -> None:
        self.call()
        self.synchronize()
        if self.mode == "warn":
            warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=2)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    played = Device()
    for name, what in vars(played.cuda).items():
        monkeypatch.setattr(torch.cuda, name, what)
    monkeypatch.setattr(time, "perf_counter", lambda: played.now)
    return played


def test_the_host_is_kept_only_by_what_it_does_itself_unless_it_waits(device: Device) -> None:
    assert CudaClock().kept(device.call) == pytest.approx(HOST)
    assert CudaClock().kept(device.waiting_call) == pytest.approx(BUSY + 0.004)


def test_the_device_is_timed_without_the_host_and_without_what_it_was_busy_with(device: Device) -> None:
    assert CudaClock().worked(device.call) == pytest.approx(0.004)


def test_all_of_it_is_timed_from_an_idle_device_to_an_idle_one(device: Device) -> None:
    device.work(5.0)
    assert CudaClock().lasted(device.call) == pytest.approx(HOST + 0.004)


def test_waits_are_counted_by_what_pytorch_says_and_it_is_asked_no_longer(device: Device) -> None:
    def twice() -> None:
        device.waiting_call()
        warnings.warn("something else", UserWarning, stacklevel=2)
        device.waiting_call()

    assert CudaClock().waits(twice) == 2
    assert CudaClock().waits(device.call) == 0
    assert device.mode == "default"


def test_a_call_on_a_device_is_timed_until_it_is_done_and_also_by_what_the_device_worked(device: Device) -> None:
    place = place_of("cuda", CudaClock())
    assert (place.device, place.clock) == ("cuda", "wall")
    assert place.worked is not None
    until_done, worked = place.sample(device.call), place.worked(device.call)
    assert until_done.wall == pytest.approx(HOST + 0.004)
    assert worked.cpu == pytest.approx(0.004)
    # Nobody had the device but us.
    assert not until_done.contended
