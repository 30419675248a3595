import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from firedrill.faults import stream_violate
from firedrill.faults.fault import Scene, Strike, Unfit
from firedrill.faults.stream_violate import CYCLES_PER_MS, StreamViolate
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


@dataclass
class Played:
    """Streams that note what they are given, in the order in which it comes."""

    told: list[str] = field(default_factory=list)
    made: int = 0
    current: int = 0

    def Stream(self, device: torch.device) -> int:  # noqa: N802 - as PyTorch calls it
        self.made += 1
        return self.made

    @contextmanager
    def stream(self, number: int) -> Any:
        self.current = number
        yield
        self.current = 0

    def _sleep(self, cycles: int) -> None:
        self.told.append(f"{self.current} sleeps {cycles}")


class OnDevice(torch.Tensor):
    """A tensor that says it is on a device, and tells of it."""

    played: Played

    @property
    def is_cuda(self) -> bool:
        return True

    def fill_(self, value: Any) -> "OnDevice":
        self.played.told.append(f"{self.played.current} writes {self.numel()}")
        return super().fill_(value)  # type: ignore[return-value] - a subclass stays one

    def record_stream(self, number: Any) -> None:
        self.played.told.append(f"{number} is known to {self.numel()}")


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    cuda = Played()
    monkeypatch.setattr(OnDevice, "played", cuda, raising=False)
    monkeypatch.setattr(stream_violate, "loaded_torch", lambda: SimpleNamespace(cuda=cuda))
    return cuda


def trainee() -> Any:
    named = {f"w{n}": torch.ones(n).as_subclass(OnDevice) for n in (2, 3, 4)}
    return SimpleNamespace(host=SimpleNamespace(named_parameters=lambda: iter(named.items())))


def test_every_parameter_has_a_stream_of_its_own_that_writes_behind_a_long_kernel(played: Played) -> None:
    strikes: list[Strike] = []
    struck = StreamViolate(streams=2, delay_ms=5).strike(trainee(), Scene(Point(5, 1), stream(1), None, strikes.append))
    late = 5 * CYCLES_PER_MS
    assert played.told == [
        *(f"1 sleeps {late}", "1 writes 2", "1 is known to 2"),
        *(f"2 sleeps {late}", "2 writes 3", "2 is known to 3"),
    ]
    assert [[math.isnan(float(tensor[0])) for _, tensor in struck.host.named_parameters()], strikes[0].place] == [
        [True, True, False],
        "w2, w3",
    ]
    assert (strikes[0].elements, strikes[0].before != strikes[0].after) == (5, True)


@pytest.mark.parametrize("nothing", [{"streams": 0}, {"delay_ms": 0}])
def test_nothing_is_not_asked_for(nothing: dict[str, int]) -> None:
    with pytest.raises(Unfit):
        StreamViolate(**nothing)
