"""Memory that really runs out, on the device and in the host: it costs what asked for it, and no snapshot that there is."""

from collections.abc import Callable, Iterator

import pytest
import torch

from tolaria.governor import segments
from tolaria.governor.arena import STAGED_BYTES, Arena, Bound
from tolaria.governor.memory_policy import Placement
from tolaria.governor.offload import Offload
from tolaria.governor.snapshots import SnapshotRing

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda", 0)
MIB = 1 << 20
# Of a state of 256 MiB in tensors of one, and what may be taken beside it.
TENSORS, ROOM = 256, 3 * STAGED_BYTES

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def live() -> Tensors:
    return {f"host/{number:03}": torch.full((MIB // 4,), float(number), device=DEVICE) for number in range(TENSORS)}


@pytest.fixture
def nearly_full(live: Tensors) -> Iterator[Callable[[], None]]:
    """From its call on the device has room for a few pieces and for no second state."""

    def limit() -> None:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(DEVICE).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + ROOM) / total)

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0)


def differing(live: Tensors, values: Callable[[int], float]) -> list[int]:
    return [number for number, tensor in enumerate(live.values()) if not bool((tensor == values(number)).all())]


def test_a_take_for_which_the_device_has_no_mirror_goes_straight_to_the_host(live: Tensors, nearly_full: Callable[[], None]) -> None:
    bound = Bound.to(live)
    arena = Arena.allocate(bound.layout, torch.device("cpu"), pinned=True)
    way = Offload(DEVICE, 2)
    nearly_full()
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(TENSORS * MIB, dtype=torch.uint8, device=DEVICE)
    pending = way.take(bound, arena)
    pending.wait()
    assert way.mirrors == 0
    assert pending.is_finite()
    assert differing(arena.views, float) == []


def test_a_rollback_needs_no_second_state_on_the_device(live: Tensors, nearly_full: Callable[[], None]) -> None:
    ring = SnapshotRing(2, 1, "offload")
    nearly_full()
    snapshot = ring.take(live, {}, 0, "begin", None, bool)
    assert ring.placement in {Placement.PINNED, Placement.ONE_MIRROR, Placement.TWO_MIRRORS}
    for tensor in live.values():
        tensor.fill_(-1.0)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    snapshot.arena.copy_out(live, live, None)
    torch.cuda.synchronize()
    assert differing(live, float) == []
    assert torch.cuda.max_memory_allocated() - before <= 2 * (STAGED_BYTES + MIB)


def test_host_memory_that_cannot_be_pinned_costs_one_snapshot_only(monkeypatch: pytest.MonkeyPatch) -> None:
    live = {"host/w": torch.ones(9, device=DEVICE)}
    ring = SnapshotRing(3, 1, "offload")
    ring.take(live, {}, 0, "begin", None, bool)
    given = segments.prefaulted

    def greedy(size: int, dtype: torch.dtype, device: torch.device, pinned: bool = False) -> torch.Tensor:
        # More than any machine has.
        return given(1 << 50 if pinned else size, dtype, device, pinned)

    with monkeypatch.context() as patched:
        patched.setattr(segments, "prefaulted", greedy)
        with pytest.raises(RuntimeError):
            ring.take(live, {}, 1, "cadence", None, bool)
    assert [snapshot.number for snapshot in ring.published] == [0]
    ring.take(live, {}, 2, "cadence", None, bool)
    torch.cuda.synchronize()
    ring.age()
    assert [snapshot.number for snapshot in ring.trusted()] == [1, 0]
