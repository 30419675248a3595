"""Copies that no host waits for: their order on the streams is what keeps them whole."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch

from tolaria.governor.arena import CPU, Arena, Bound
from tolaria.governor.memory_policy import Placement
from tolaria.governor.offload import CHUNK_BYTES, Offload, Pending
from tolaria.governor.snapshots import SnapshotRing

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda", 0)
# Three chunks and a bit, so that a transfer takes longer than the host needs to go on.
LARGE = 3 * CHUNK_BYTES // 4 + 17
# Long enough for the host to have queued everything that follows.
CYCLES = 200_000_000
MIRRORS = [0, 1, 2]

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def live() -> Tensors:
    """Weights of several dtypes on the device, and a counter in host memory, as some optimizers keep it."""
    return {
        "host/weight": torch.nn.Parameter(torch.zeros(LARGE, device=DEVICE)),
        "host/half": torch.zeros(33, dtype=torch.bfloat16, device=DEVICE),
        "host/channels_last": torch.zeros(2, 3, 4, 4, device=DEVICE).contiguous(memory_format=torch.channels_last),
        "host/counter": torch.zeros((), dtype=torch.int64, device=DEVICE),
        "optimizer/host/weight/step": torch.zeros(()),
    }


@pytest.fixture
def no_waiting() -> Iterator[Callable[[], None]]:
    """From its call on, whatever makes the host wait for the device raises."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


def train(live: Tensors, value: float) -> None:
    """A step that ends in these values, behind work that keeps the device busy."""
    torch.cuda._sleep(CYCLES)
    with torch.no_grad():
        for tensor in live.values():
            tensor.fill_(value)


def pinned(bound: Bound) -> Arena:
    return Arena.allocate(bound.layout, CPU, True, bound.in_host_memory)


def holds(arena: Arena, value: float) -> bool:
    return all(bool((view == value).all()) for view in arena.views.values())


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_every_copy_is_of_its_own_step_however_far_training_has_gone_on(live: Tensors, mirrors: int) -> None:
    bound = Bound.to(live)
    offload = Offload(DEVICE, mirrors)
    arenas = [pinned(bound) for _ in range(6)]
    begun: list[Pending] = []
    for step, arena in enumerate(arenas, start=1):
        train(live, float(step))
        begun.append(offload.take(bound, arena))
    train(live, math.nan)
    for step, (arena, pending) in enumerate(zip(arenas, begun, strict=True), start=1):
        pending.wait()
        assert holds(arena, float(step)), step
        assert pending.is_finite()


@pytest.mark.parametrize("mirrors", [1, 2])
def test_a_mirror_is_not_written_again_before_its_last_transfer_is_over(live: Tensors, mirrors: int) -> None:
    bound = Bound.to(live)
    offload = Offload(DEVICE, mirrors)
    arenas = [pinned(bound) for _ in range(6)]
    begun: list[Pending] = []
    for step, arena in enumerate(arenas, start=1):
        with torch.no_grad():
            for tensor in live.values():
                tensor.fill_(float(step))
        with torch.cuda.stream(offload._side):
            torch.cuda._sleep(CYCLES)
        begun.append(offload.take(bound, arena))
    for step, (arena, pending) in enumerate(zip(arenas, begun, strict=True), start=1):
        pending.wait()
        assert holds(arena, float(step)), step


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_nothing_in_a_take_waits_for_the_device(live: Tensors, mirrors: int, no_waiting: Callable[[], None]) -> None:
    bound = Bound.to(live)
    offload = Offload(DEVICE, mirrors)
    arenas = [pinned(bound) for _ in range(3)]
    # The first ones allocate mirrors and load kernels, which may wait.
    for arena in arenas:
        offload.take(bound, arena).wait()
    train(live, 1.0)
    no_waiting()
    begun = [offload.take(bound, arena) for arena in arenas]
    assert not begun[-1].has_arrived()


@pytest.mark.parametrize("mirrors", MIRRORS)
def test_what_is_not_finite_is_known_when_it_has_arrived(live: Tensors, mirrors: int) -> None:
    bound = Bound.to(live)
    arena = pinned(bound)
    train(live, 1.0)
    with torch.no_grad():
        live["host/half"][-1] = math.inf
    pending = Offload(DEVICE, mirrors).take(bound, arena)
    pending.wait()
    assert not pending.is_finite()
    assert arena.nonfinite() == ("host/half",)


def test_a_take_on_another_stream_waits_for_the_stream_of_the_takes_before_it(live: Tensors) -> None:
    bound = Bound.to(live)
    offload = Offload(DEVICE, 1)
    first, second = pinned(bound), pinned(bound)
    offload.take(bound, first).wait()
    train(live, 2.0)
    with torch.cuda.stream(torch.cuda.Stream()):
        pending = offload.take(bound, second)
    pending.wait()
    assert holds(second, 2.0)


# In the ring.


def takes(ring: SnapshotRing, live: Tensors, steps: range) -> None:
    for step in steps:
        train(live, float(step))
        ring.take(live, {}, step, "cadence" if step else "begin", None, bool)
        torch.cuda.synchronize()
        ring.age()


def test_pinned_storage_is_allocated_once(live: Tensors) -> None:
    ring = SnapshotRing(2, 1, "offload")
    takes(ring, live, range(4))
    torch.cuda.memory.reset_peak_memory_stats()
    on_device = torch.cuda.memory_allocated()
    places = {flat.data_ptr() for snapshot in ring.published for flat in snapshot.arena.flats}
    seen: set[int] = set()
    for step in range(4, 20):
        takes(ring, live, range(step, step + 1))
        seen |= {flat.data_ptr() for snapshot in ring.published for flat in snapshot.arena.flats}
        assert all(flat.is_pinned() for snapshot in ring.published for flat in snapshot.arena.flats if flat.numel())
    assert places <= seen
    # Three arenas: two published ones, and the one that is written next.
    assert len(seen) == 3 * len(ring.published[0].arena.flats)
    assert torch.cuda.memory_allocated() == on_device


def test_a_candidate_is_trusted_only_after_it_has_arrived_and_was_checked(live: Tensors) -> None:
    ring = SnapshotRing(3, 1, "offload")
    takes(ring, live, range(1))
    train(live, math.inf)
    spoiled = ring.take(live, {}, 1, "cadence", None, bool)
    assert spoiled.pending is not None
    assert not spoiled.is_trusted(0)
    torch.cuda.synchronize()
    assert ring.age() == ()
    assert [snapshot.number for snapshot in ring.published] == [0]
    assert [reason.startswith("NotFinite: snapshot 1:") for reason in ring.refused()] == [True]
    assert ring.refused() == ()


def test_a_snapshot_of_pinned_memory_goes_back_byte_for_byte(live: Tensors) -> None:
    ring = SnapshotRing(3, 1, "offload")
    takes(ring, live, range(1, 2))
    snapshot = ring.take(live, {}, 2, "begin", None, bool)
    train(live, 7.0)
    snapshot.arena.copy_out([name for name in live if name.startswith("host/")], live, None)
    torch.cuda.synchronize()
    assert {name: set(tensor.flatten().tolist()) for name, tensor in live.items()} == {
        name: {7.0} if name.startswith("optimizer/") else {1.0} for name in live
    }
    assert ring.placement in {Placement.TWO_MIRRORS, Placement.ONE_MIRROR}


def test_the_digest_does_not_depend_on_where_a_snapshot_lay(live: Tensors) -> None:
    train(live, 3.0)
    digests = {SnapshotRing(2, 1, mode).take(live, {}, 0, "begin", None, bool).digest for mode in ("always", "offload")}
    assert len(digests) == 1
