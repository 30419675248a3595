"""Which snapshots stay, age, are trusted, are sealed and are spent; each snapshot is one small tensor."""

import json
import sys
from typing import Any

import pytest
import torch

from tolaria.governor.arena import Arena, Bound
from tolaria.governor.pages import SHARED_FROM, SharedPages
from tolaria.governor.snapshots import NotFinite, Snapshot, SnapshotRing

Tensors = dict[str, torch.Tensor]
ONE: Tensors = {"w": torch.ones(3)}


def take(ring: SnapshotRing, step: int, reason: str = "cadence", tensors: Tensors = ONE) -> Snapshot:
    return ring.take(tensors, {"step": step}, step, reason, None, bool)


def numbers(ring: SnapshotRing) -> list[int]:
    return [snapshot.number for snapshot in ring.published]


def full(kept: int, probation: int, digest: str = "always") -> SnapshotRing:
    """A first snapshot, and candidates up to the brim."""
    ring = SnapshotRing(kept, probation, digest)
    for step in range(kept):
        take(ring, step, "begin" if step == 0 else "cadence")
    return ring


def storage(snapshot: Snapshot) -> int:
    return snapshot.tensors["w"].untyped_storage().data_ptr()


@pytest.mark.parametrize("kept", [2, 3, 4])
def test_nothing_is_spent_before_the_ring_is_full(kept: int) -> None:
    ring = SnapshotRing(kept, 0)
    for step in range(kept):
        assert ring.has_room()
        take(ring, step)
    assert numbers(ring) == list(reversed(range(kept)))
    take(ring, kept)
    assert numbers(ring) == list(range(kept, 0, -1))


def test_the_oldest_trusted_snapshot_gives_way_as_soon_as_there_is_a_newer_one() -> None:
    ring = full(kept=3, probation=2)
    take_at = [ring.has_room()]
    for _ in range(2):
        ring.age()
        take_at.append(ring.has_room())
    assert take_at == [False, False, True]
    assert [snapshot.number for snapshot in ring.trusted()] == [2, 1, 0]
    take(ring, 3)
    assert numbers(ring) == [3, 2, 1]
    take(ring, 4)
    assert numbers(ring) == [4, 3, 2]
    assert not ring.has_room()


def test_a_full_ring_without_a_spendable_snapshot_loses_its_youngest_candidate() -> None:
    ring = full(kept=2, probation=3)
    take(ring, 2, "fossilized")
    assert numbers(ring) == [2, 0]
    take(ring, 3, "fossilized")
    assert numbers(ring) == [3, 0]


def test_a_snapshot_becomes_trusted_once_and_at_its_last_step_of_probation() -> None:
    ring = full(kept=2, probation=2)
    assert [(ring.age(), [snapshot.healthy_steps for snapshot in ring.published]) for _ in range(3)] == [
        ((), [1, 1]),
        ((1,), [2, 2]),
        ((), [3, 3]),
    ]


def test_every_snapshot_counts_its_own_healthy_steps() -> None:
    ring = full(kept=2, probation=2)
    ring.age()
    take(ring, 2, "fossilized")
    assert [(snapshot.number, snapshot.healthy_steps) for snapshot in ring.published] == [(2, 0), (0, 1)]


def test_without_a_probation_every_snapshot_is_trusted_at_once() -> None:
    ring = full(kept=2, probation=0)
    assert [snapshot.number for snapshot in ring.trusted()] == [1, 0]
    assert ring.age() == ()


def test_what_is_dropped_is_gone_and_its_storage_is_used_again() -> None:
    ring = full(kept=3, probation=3)
    places = {storage(snapshot) for snapshot in ring.published if snapshot.number in {1, 2}}
    ring.drop(frozenset({1, 2, 7}))
    assert numbers(ring) == [0]
    assert {storage(take(ring, 3)), storage(take(ring, 4))} == places


def test_a_refused_snapshot_gives_its_storage_back() -> None:
    ring = SnapshotRing(3, 3)
    take(ring, 0, "begin")
    with pytest.raises(NotFinite):
        take(ring, 1, tensors={"w": torch.full((3,), float("nan"))})
    (spare,) = ring._spare
    taken = take(ring, 2)
    assert (taken.number, taken.arena is spare) == (1, True)


def test_when_a_slot_is_filled_the_trunk_is_copied_into_storage_that_it_had_before() -> None:
    trunk = {"host/w": torch.ones(3)}
    ring = SnapshotRing(2, 0)
    for step in range(3):
        take(ring, step, tensors=trunk)
    (spare,) = ring._spare
    grown = take(ring, 3, tensors=trunk | {"host/slots.s0.seed": torch.ones(2)})
    assert grown.tensors["host/w"].data_ptr() == spare.views["host/w"].data_ptr()
    assert len(ring._spare) == 1


def test_at_most_two_spares_wait_for_use() -> None:
    ring = full(kept=4, probation=3)
    arenas = [snapshot.arena for snapshot in ring.published]
    ring.clear()
    assert ring._spare == arenas[-2:]


def test_numbers_go_on_after_everything_was_forgotten() -> None:
    ring = full(kept=3, probation=3)
    ring.clear()
    assert (ring.published, ring.trusted()) == ((), ())
    assert take(ring, 9, "begin").number == 3


def test_at_most_five_places_that_are_not_finite_are_named() -> None:
    bad = {f"w{number}": torch.full((1,), float("nan")) for number in range(6)}
    with pytest.raises(NotFinite) as refused:
        take(SnapshotRing(3, 3), 0, tensors=bad)
    assert str(refused.value) == "not finite: w0, w1, w2, w3, w4"


def test_the_size_is_that_of_all_tensors_in_bytes() -> None:
    tensors = {"single": torch.ones(3), "double": torch.ones(2, 2, dtype=torch.float64)}
    assert take(SnapshotRing(3, 3), 0, tensors=tensors).bytes == 3 * 4 + 4 * 8


def test_a_snapshot_is_sealed_at_the_take_unless_it_is_said_otherwise() -> None:
    ring = SnapshotRing(3, 3)
    take(ring, 0, "begin")
    assert all(take(ring, step).digest for step in (1, 2))


def test_what_is_damaged_after_it_was_sealed_is_not_sealed_again() -> None:
    ring = full(kept=2, probation=1)
    ring.age()
    for snapshot in ring.published:
        snapshot.tensors["w"].add_(1.0)
    ring.age()
    ring.capsule()
    assert [snapshot.is_intact() for snapshot in ring.published] == [False, False]


def test_a_snapshot_is_verified_once_also_where_all_is_copied_at_once() -> None:
    verified: list[int] = []
    SnapshotRing(3, 3).take(ONE, {}, 0, "begin", None, verified.append)
    assert verified == [0]


def test_an_unsealed_candidate_is_sealed_when_it_becomes_trusted() -> None:
    ring = full(kept=2, probation=2, digest="offload")
    sealed = [[bool(snapshot.digest) for snapshot in ring.published]]
    for _ in range(2):
        ring.age()
        sealed.append([bool(snapshot.digest) for snapshot in ring.published])
    assert sealed == [[False, True], [False, True], [True, True]]
    assert all(snapshot.is_intact() for snapshot in ring.published)


def test_what_leaves_memory_is_sealed_and_comes_back_as_it_was() -> None:
    ring = full(kept=3, probation=5, digest="offload")
    ring.age()
    tensors, facts = ring.capsule()
    assert all(snapshot.is_intact() for snapshot in ring.published)
    resumed = SnapshotRing(3, 5, "offload")
    resumed.restore(tensors, json.loads(json.dumps(facts)))
    assert [(s.number, s.step, s.reason, s.digest, s.facts, s.healthy_steps) for s in resumed.published] == [
        (s.number, s.step, s.reason, s.digest, s.facts, s.healthy_steps) for s in ring.published
    ]
    assert all(snapshot.is_intact() for snapshot in resumed.published)
    assert take(resumed, 9, "fossilized").number == 3


def test_the_snapshot_of_a_host_without_tensors_comes_back_too() -> None:
    ring = SnapshotRing(2, 0)
    take(ring, 0, "begin", {})
    resumed = SnapshotRing(2, 0)
    resumed.restore(*ring.capsule())
    assert resumed.published[0].is_intact()
    assert resumed.published[0].tensors == {}


def test_a_snapshot_comes_back_on_the_device_of_its_tensors() -> None:
    _, facts = full(kept=1, probation=0).capsule()
    resumed = SnapshotRing(1, 0)
    resumed.restore({"0/w": torch.empty(3, device="meta")}, facts)
    assert resumed.published[0].tensors["w"].device == torch.device("meta")


def test_tensors_of_snapshots_whose_numbers_begin_alike_are_kept_apart() -> None:
    ring = SnapshotRing(20, 0)
    for step in range(12):
        take(ring, step, tensors={"w": torch.full((1,), float(step))})
    resumed = SnapshotRing(20, 0)
    resumed.restore(*ring.capsule())
    assert [snapshot.tensors["w"].item() for snapshot in resumed.published] == [float(step) for step in range(11, -1, -1)]


def test_a_snapshot_is_shown_without_its_storage() -> None:
    snapshot = take(SnapshotRing(3, 3), 7, "begin")
    head = f"number=0, step=7, reason='begin', digest='{snapshot.digest}', facts={{'step': 7}}, healthy_steps=0"
    assert repr(snapshot) == f"Snapshot({head})"


def test_where_takes_wait_for_the_device_copies_are_placed_nowhere() -> None:
    ring = SnapshotRing(3, 3)
    take(ring, 0, "begin")
    assert (ring.placement, ring.refused()) == (None, ())


# Huge pages that the arenas of a ring share.


def test_all_arenas_of_a_ring_lie_in_the_same_pages_until_another_host_begins() -> None:
    state: Tensors = {"w": torch.ones(SHARED_FROM // 4)}
    ring = SnapshotRing(3, 0)
    places = {storage(take(ring, step, tensors=state)) for step in range(8)}
    assert len(places) == (1 if sys.platform == "linux" else 4)
    ring.clear()
    # Two arenas are kept for the next host; where that is larger, it has pages of its own.
    grown = {storage(take(ring, step, tensors={"w": torch.ones(SHARED_FROM // 2)})) for step in range(8)}
    assert len(grown) == len(places)
    assert not grown & places


def test_a_ring_asks_once_in_a_life_for_room_for_all_of_its_arenas(monkeypatch: pytest.MonkeyPatch) -> None:
    pages, copies, given, allocate = SharedPages(0, 0), list[int](), list[object](), Arena.allocate

    def room(bound: Bound, count: int) -> SharedPages:
        copies.append(count)
        return pages

    def watched(*wish: Any) -> Arena:
        given.append(wish[5])
        return allocate(*wish)

    monkeypatch.setattr(Bound, "shared_pages", room)
    monkeypatch.setattr(Arena, "allocate", staticmethod(watched))
    ring = SnapshotRing(3, 0)
    for step in range(6):
        take(ring, step)
    assert (copies, given) == ([4], [pages] * 4)
    ring.clear()
    take(ring, 6, tensors={"w": torch.ones(5)})
    assert (copies, given) == ([4, 4], [pages] * 5)


def test_what_grows_beyond_the_shared_pages_has_pages_of_its_own() -> None:
    ring = SnapshotRing(2, 0)
    first = take(ring, 0, tensors={"w": torch.ones(SHARED_FROM // 4)})
    grown = take(ring, 1, tensors={"w": torch.full((SHARED_FROM,), 2.0)})
    assert storage(first) != storage(grown)
    assert (first.tensors["w"] == 1.0).all()
    assert (grown.tensors["w"] == 2.0).all()
