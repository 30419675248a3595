"""Copies are whole from whatever stream they are taken; and these tests see it when the waiting is left out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch

from tolaria.governor.arena import Arena, Bound
from tolaria.governor.offload import Offload, Pending

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda", 0)
STEPS = range(1, 6)

Tensors = dict[str, torch.Tensor]
NewState = Callable[[], Tensors]
Train = Callable[[Tensors, float], None]
NewArena = Callable[[Bound], Arena]
Holds = Callable[[Arena, float], bool]
Rig = tuple[NewState, Train, NewArena, Holds]


@pytest.fixture
def rig(new_state: NewState, train: Train, new_arena: NewArena, holds: Holds) -> Rig:
    return new_state, train, new_arena, holds


@contextmanager
def here() -> Iterator[None]:
    yield


def torn(rig: Rig, aside: bool, mirrors: int) -> list[int]:
    """Of which steps the copies are not, taken on the training stream or on one of their own; training goes on at once."""
    new_state, train, new_arena, holds = rig
    live = new_state()
    bound = Bound.to(live)
    way = Offload(DEVICE, mirrors)
    arenas = [new_arena(bound) for _ in STEPS]
    stream = torch.cuda.Stream(DEVICE)
    begun: list[Pending] = []
    torch.cuda.synchronize()
    for step, arena in zip(STEPS, arenas, strict=True):
        train(live, float(step))
        with torch.cuda.stream(stream) if aside else here():
            begun.append(way.take(bound, arena))
    train(live, -1.0)
    torch.cuda.synchronize()
    assert all(pending.has_arrived() for pending in begun)
    return [step for step, arena in zip(STEPS, arenas, strict=True) if not holds(arena, float(step))]


@pytest.mark.parametrize("mirrors", [0, 1, 2])
@pytest.mark.parametrize("aside", [False, True])
def test_every_copy_is_of_its_own_step(rig: Rig, aside: bool, mirrors: int) -> None:
    assert torn(rig, aside, mirrors) == []


@pytest.mark.parametrize(("aside", "lost"), [(False, "wait_event"), (True, "wait_event"), (True, "wait_stream")])
def test_without_the_waiting_copies_are_torn(rig: Rig, monkeypatch: pytest.MonkeyPatch, aside: bool, lost: str) -> None:
    assert torn(rig, aside, 1) == []
    monkeypatch.setattr(torch.cuda.Stream, lost, lambda *_: None)
    assert torn(rig, aside, 1) != []


def test_four_hosts_on_four_streams_have_copies_of_their_own(rig: Rig) -> None:
    new_state, train, new_arena, holds = rig
    lives = [new_state() for _ in range(4)]
    bounds = [Bound.to(live) for live in lives]
    ways = [Offload(DEVICE, 2) for _ in range(4)]
    streams = [torch.cuda.Stream(DEVICE) for _ in range(4)]
    arenas = {(host, step): new_arena(bounds[host]) for host in range(4) for step in STEPS}
    torch.cuda.synchronize()
    for step in STEPS:
        for host, stream in enumerate(streams):
            with torch.cuda.stream(stream):
                train(lives[host], 10.0 * host + step)
                ways[host].take(bounds[host], arenas[host, step])
    torch.cuda.synchronize()
    assert [key for key, arena in arenas.items() if not holds(arena, 10.0 * key[0] + key[1])] == []


def test_a_writer_that_nobody_ordered_writes_into_no_copy_that_has_left(rig: Rig) -> None:
    """It may tear the copy that is made while it writes, as any kernel; the one before is in a mirror, or on its way from it."""
    new_state, train, new_arena, holds = rig
    live = new_state()
    bound = Bound.to(live)
    arena = new_arena(bound)
    train(live, 1.0)
    pending = Offload(DEVICE, 2).take(bound, arena)
    copied = torch.cuda.current_stream().record_event()
    with ExitStack() as stack:
        stack.enter_context(torch.cuda.stream(torch.cuda.Stream(DEVICE)))
        torch.cuda.current_stream().wait_event(copied)
        train(live, float("nan"))
    pending.wait()
    assert holds(arena, 1.0)
    torch.cuda.synchronize()
