"""The order of copies on streams, on a device that is only played: it does nothing until it is told to, and then in any order it may.

A real device takes the worst order once in a million steps; this one takes every one that is asked for.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any, cast

import pytest
import torch

from tolaria.governor import offload
from tolaria.governor.arena import CPU, Arena, Bound
from tolaria.governor.offload import Offload, Pending

Tensors = dict[str, torch.Tensor]
DEVICE = torch.device("cuda", 0)
STEPS = 5
# The default stream, the first one that was made, which is that of transfers, and one of a test.
ORDERS = list(permutations(range(3)))


@dataclass(eq=False)
class Event:
    """A mark in a stream."""

    passed: bool = False

    def query(self) -> bool:
        return self.passed


@dataclass(eq=False)
class Stream:
    """What is still to be done, in order: work, marks to be set, marks to be waited for."""

    name: str
    queue: deque[Callable[[], object] | Event] = field(default_factory=deque)
    device: torch.device = CPU

    def record_event(self) -> Event:
        event = Event()
        self.queue.append(lambda: setattr(event, "passed", True))
        return event

    def wait_event(self, event: Event) -> None:
        self.queue.append(event)

    def wait_stream(self, other: "Stream") -> None:
        self.wait_event(other.record_event())

    def step(self) -> bool:
        """Do the next thing if that may be; says whether something was done."""
        if not self.queue or (isinstance(self.queue[0], Event) and not self.queue[0].passed):
            return False
        work = self.queue.popleft()
        if not isinstance(work, Event):
            work()
        return True


class Device:
    """Streams, of which one is current."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """As new."""
        self.default = Stream("default")
        self.current = self.default
        self.streams = [self.default]
        self.recorded: list[tuple[int, str]] = []

    def new(self, *_: object) -> Stream:
        self.streams.append(Stream(f"stream {len(self.streams)}"))
        return self.streams[-1]

    @contextmanager
    def on(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before

    def queue(self, work: Callable[[], object]) -> None:
        self.current.queue.append(work)

    def drain(self, eager: Sequence[Stream]) -> None:
        """Do everything; whoever comes first in `eager` goes on as far as it can before the next does anything."""
        while any(stream.step() for stream in eager):
            pass
        assert not any(stream.queue for stream in self.streams), "streams wait for one another"


copied = torch.Tensor.copy_


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    """One that offloading takes for a real one."""
    played = Device()

    def foreach(targets: list[torch.Tensor], sources: list[torch.Tensor]) -> None:
        played.queue(lambda: [copied(target, source) for target, source in zip(targets, sources, strict=True)])

    def copy(target: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        if non_blocking:
            played.queue(lambda: copied(target, source))
            return target
        return cast(torch.Tensor, copied(target, source))

    zeros = torch.zeros

    def unpinned(*size: int, **options: Any) -> torch.Tensor:
        return zeros(*size, **{name: option for name, option in options.items() if name != "pin_memory"})

    for name, what in {
        "Stream": played.new,
        "default_stream": lambda _: played.default,
        "current_stream": lambda _: played.current,
        "stream": played.on,
        "device": lambda _: nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, what)
    monkeypatch.setattr(torch, "_foreach_copy_", foreach)
    monkeypatch.setattr(torch, "zeros", unpinned)
    monkeypatch.setattr(torch.Tensor, "copy_", copy)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda flat, stream: played.recorded.append((flat.data_ptr(), stream.name)))
    return played


def live() -> Tensors:
    return {"host/weight": torch.ones(40), "host/half": torch.ones(9, dtype=torch.bfloat16)}


def bound_to(tensors: Tensors, device: torch.device = DEVICE) -> Bound:
    """As if they lay on a device."""
    others = {(device, tensor.dtype): {name: tensor} for name, tensor in tensors.items()}
    return replace(Bound.to(tensors), raws=(None,) * len(tensors), others=others, cuda_devices=frozenset({device}))


def train(device: Device, tensors: Tensors, value: float) -> None:
    """A step on the current stream that ends in these values; halfway through only the first tensor has them."""
    for tensor in tensors.values():
        device.queue(lambda tensor=tensor: tensor.fill_(value))


def arena_for(bound: Bound) -> Arena:
    return Arena.allocate(bound.layout, CPU)


def torn(arenas: Sequence[Arena], values: Sequence[float]) -> list[int]:
    """Which copies are not of their own step."""
    return [
        n for n, (a, value) in enumerate(zip(arenas, values, strict=True)) if not all(bool((v == value).all()) for v in a.views.values())
    ]


Way = Callable[[Device, Tensors, Offload, Bound, list[Arena]], None]


def on_the_training_stream(device: Device, tensors: Tensors, way: Offload, bound: Bound, arenas: list[Arena]) -> None:
    for step, arena in enumerate(arenas, start=2):
        train(device, tensors, float(step))
        way.take(bound, arena)


def on_a_stream_of_its_own(device: Device, tensors: Tensors, way: Offload, bound: Bound, arenas: list[Arena]) -> None:
    aside = device.new()
    for step, arena in enumerate(arenas, start=2):
        train(device, tensors, float(step))
        with device.on(aside):
            way.take(bound, arena)


def now_here_now_there(device: Device, tensors: Tensors, way: Offload, bound: Bound, arenas: list[Arena]) -> None:
    """Training and takes change streams together, each time behind what was there."""
    streams = [device.default, device.new()]
    for step, arena in enumerate(arenas, start=2):
        with device.on(streams[step % 2]):
            device.current.wait_stream(streams[1 - step % 2])
            train(device, tensors, float(step))
            way.take(bound, arena)


def training_stays_where_the_first_take_was(device: Device, tensors: Tensors, way: Offload, bound: Bound, arenas: list[Arena]) -> None:
    training = device.new()
    for step, arena in enumerate(arenas, start=2):
        with device.on(training):
            train(device, tensors, float(step))
        with device.on(training if step == 2 else device.default):
            way.take(bound, arena)
    with device.on(training):
        train(device, tensors, -1.0)


WAYS: tuple[Way, ...] = (on_the_training_stream, on_a_stream_of_its_own, now_here_now_there, training_stays_where_the_first_take_was)


def copies(device: Device, way: Way, mirrors: int, order: Sequence[int]) -> list[int]:
    """Which copies of a few steps are torn if streams are as eager as in this order."""
    tensors = live()
    bound = bound_to(tensors)
    arenas = [arena_for(bound) for _ in range(STEPS)]
    way(device, tensors, Offload(CPU, mirrors), bound, arenas)
    train(device, tensors, -1.0)
    device.drain([device.streams[n] for n in order if n < len(device.streams)])
    return torn(arenas, [float(step) for step in range(2, STEPS + 2)])


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("mirrors", [0, 1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_every_copy_is_of_its_own_step_in_whatever_order_the_device_works(
    device: Device, way: Way, mirrors: int, order: tuple[int, ...]
) -> None:
    assert copies(device, way, mirrors, order) == []


def nowhere(*_: object) -> None:
    """In the place of waiting."""


@pytest.mark.parametrize(
    ("way", "lost"),
    [
        (on_the_training_stream, "wait_event"),
        (on_a_stream_of_its_own, "wait_event"),
        (on_a_stream_of_its_own, "wait_stream"),
        (now_here_now_there, "wait_event"),
        (training_stays_where_the_first_take_was, "wait_stream"),
    ],
)
def test_without_the_waiting_some_order_tears_copies(device: Device, monkeypatch: pytest.MonkeyPatch, way: Way, lost: str) -> None:
    found: list[int] = []
    for order in ORDERS:
        device.begin()
        with monkeypatch.context() as patched:
            patched.setattr(Stream, lost, nowhere)
            found += copies(device, way, 1, order)
    assert found


def test_the_training_stream_waits_for_no_transfer_that_has_a_mirror_to_itself(device: Device) -> None:
    tensors = live()
    bound = bound_to(tensors)
    way = Offload(CPU, 2)
    for _ in range(2):
        train(device, tensors, 2.0)
        way.take(bound, arena_for(bound))
    assert not any(isinstance(work, Event) for work in device.default.queue)
    train(device, tensors, 3.0)
    way.take(bound, arena_for(bound))
    assert sum(isinstance(work, Event) for work in device.default.queue) == 1


def test_memory_that_is_read_aside_is_given_to_nobody_before(device: Device) -> None:
    tensors = live()
    bound = bound_to(tensors)
    way = Offload(CPU, 1)
    aside = device.new()
    with device.on(aside):
        way.take(bound, arena_for(bound))
    mirror = way._mirrors[0]
    assert mirror is not None
    for flat in mirror.arena.flats:
        assert {name for place, name in device.recorded if place == flat.data_ptr()} == {way._side.name, aside.name}  # type: ignore[attr-defined] - it is played


def test_another_device_is_waited_for_where_its_tensors_go_straight_to_the_host(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = live()
    second = Stream("second device")
    device.streams.append(second)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda which: second if which == DEVICE else device.current)
    pending = Offload(CPU, 0).take(bound_to(tensors), arena_for(bound_to(tensors)))
    while device.default.step():
        pass
    assert not pending.has_arrived()
    device.drain([second, device.default])
    assert pending.has_arrived()


class NoRoom:
    """Arenas on a device that is full from the first or second one on."""

    def __init__(self, given: int) -> None:
        self._left = given
        self._allocate = Arena.allocate

    def __call__(self, *arguments: Any, **options: Any) -> Arena:
        self._left -= 1
        if self._left < 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._allocate(*arguments, **options)


@pytest.mark.parametrize(("given", "left"), [(0, 0), (1, 1), (2, 2)])
def test_a_device_without_room_for_a_mirror_costs_the_mirror_and_no_copy(
    device: Device, monkeypatch: pytest.MonkeyPatch, given: int, left: int
) -> None:
    tensors = live()
    bound = bound_to(tensors)
    arenas = [arena_for(bound) for _ in range(STEPS)]
    way = Offload(CPU, 2)
    monkeypatch.setattr(offload.Arena, "allocate", NoRoom(given))
    begun: list[Pending] = []
    for step, arena in enumerate(arenas, start=2):
        train(device, tensors, float(step))
        begun.append(way.take(bound, arena))
    device.drain(device.streams)
    assert way.mirrors == left
    assert torn(arenas, [float(step) for step in range(2, STEPS + 2)]) == []
    assert all(pending.has_arrived() for pending in begun)
