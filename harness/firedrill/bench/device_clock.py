"""The clocks of a CUDA device: what the host is kept by, what the device works for, and when all of it is done."""

import time
import warnings
from collections.abc import Callable
from typing import Protocol

import torch

from firedrill.bench.clock import Place, Sample

Call = Callable[[], object]

# The device is busy for so long before whatever is timed, about 10 ms: longer than the host takes to queue it. So a wait for
# the device shows in the time of the host, and the device works on what was queued without a pause.
BUSY_CYCLES = 20_000_000
WAITING = "called a synchronizing"


class DeviceClock(Protocol):
    """Times one call in four ways. Nothing is under way on the device before or after."""

    def kept(self, call: Call) -> float:
        """Seconds until the host goes on, while the device has other work."""
        ...

    def worked(self, call: Call) -> float:
        """Seconds that the device works on what a call puts into the current stream."""
        ...

    def lasted(self, call: Call) -> float:
        """Seconds until everything is done, in every stream."""
        ...

    def waits(self, call: Call) -> int:
        """How often PyTorch says that the host waited for the device."""
        ...


def place_of(device: str, clock: DeviceClock) -> Place:
    """A device, on which a call is timed until all of it is done.

    A thread that waits for a device works or sleeps, as the driver likes, so that its CPU time says nothing.
    """

    def until_done(call: Call) -> Sample:
        seconds = clock.lasted(call)
        return Sample(seconds, seconds)

    def worked(call: Call) -> Sample:
        seconds = clock.worked(call)
        return Sample(seconds, seconds)

    return Place(device, until_done, "wall", worked)


class CudaClock:
    """The current device, by CUDA events and by what PyTorch tells of waiting."""

    def kept(self, call: Call) -> float:
        """By the clock of the host."""
        torch.cuda.synchronize()
        torch.cuda._sleep(BUSY_CYCLES)
        began = time.perf_counter()
        call()
        took = time.perf_counter() - began
        torch.cuda.synchronize()
        return took

    def worked(self, call: Call) -> float:
        """By two events of this very call: those of an earlier one would be milliseconds in too few bits."""
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        torch.cuda._sleep(BUSY_CYCLES)
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        return float(begin.elapsed_time(end)) / 1e3

    def lasted(self, call: Call) -> float:
        """By the clock of the host, from an idle device to an idle device."""
        torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        torch.cuda.synchronize()
        return time.perf_counter() - began

    def waits(self, call: Call) -> int:
        """An explicit `synchronize` is not among them; it shows in `kept`."""
        torch.cuda.synchronize()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                call()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        return sum(WAITING in str(one.message) for one in told)
