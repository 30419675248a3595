from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from firedrill.faults import cuda_oom
from firedrill.faults.cuda_oom import CudaOom
from firedrill.faults.fault import CouldNotStrike, Scene, Strike, Unfit
from tolaria.seeding import stream
from tolaria.telemetry.event import Point

MIB = 1 << 20
TOTAL = 1000 * MIB


class Device:
    """An allocator's limit, and what is taken of it; nothing else of PyTorch is asked for."""

    uint8 = torch.uint8
    OutOfMemoryError = torch.OutOfMemoryError

    def __init__(self) -> None:
        self.taken = 300 * MIB
        self.cached = 100 * MIB
        self.fraction = 1.0
        self.cuda = SimpleNamespace(
            is_initialized=lambda: True,
            empty_cache=self.give_back,
            current_device=lambda: 0,
            get_device_properties={0: SimpleNamespace(total_memory=TOTAL)}.__getitem__,
            memory_reserved=lambda: self.taken + self.cached,
            set_per_process_memory_fraction=self.limit,
        )

    def give_back(self) -> None:
        self.cached = 0

    def limit(self, fraction: float) -> None:
        self.fraction = fraction

    def empty(self, size: int, dtype: torch.dtype, device: str) -> Any:
        assert device == "cuda"
        if self.cached < size and self.taken + self.cached + size > self.fraction * TOTAL:
            raise torch.OutOfMemoryError("CUDA out of memory")
        # It is freed at once, and kept for the next who asks.
        self.cached = max(self.cached, size)
        return SimpleNamespace(nbytes=size)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    played = Device()
    monkeypatch.setattr(cuda_oom, "loaded_torch", lambda: played)
    return played


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(torch.OutOfMemoryError, match="injected into the device: 64 MiB were refused"):
        yield


def test_the_device_refuses_once_what_it_gave_before_and_the_limit_is_lifted_again(device: Device) -> None:
    strikes: list[Strike] = []
    with refused():
        CudaOom().strike("value", Scene(Point(5, 1), stream(1), None, strikes.append))
    assert device.fraction == 1.0
    assert [strike.elements for strike in strikes] == [64 * MIB]
    assert CudaOom().strike("value", Scene(Point(5, 1), stream(1), None, strikes.append, passage=2)) == "value"
    assert len(strikes) == 1


def test_a_device_that_gives_it_all_the_same_was_not_struck_and_has_its_limit_back(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    strikes: list[Strike] = []
    monkeypatch.setattr(device.cuda, "empty_cache", lambda: None)
    assert CudaOom().strike("value", Scene(Point(5, 1), stream(1), None, strikes.append)) == "value"
    assert (strikes, device.fraction) == ([], 1.0)


def test_a_process_that_uses_no_device_has_nothing_to_strike() -> None:
    with pytest.raises(CouldNotStrike, match="uses no CUDA device"):
        CudaOom().strike("value", Scene(Point(5, 1), stream(1), None, print))


def test_nothing_is_not_asked_for() -> None:
    with pytest.raises(Unfit):
        CudaOom(mib=0)
