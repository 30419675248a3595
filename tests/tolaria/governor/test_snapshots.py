import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from tolaria.governor.pages import ALIGNMENT
from tolaria.governor.snapshots import NotFinite, Snapshot, SnapshotRing
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Point

Tensors = dict[str, torch.Tensor]
ERRORS = [RuntimeError, MemoryError, KeyboardInterrupt]
TIED = torch.linspace(0.0, 1.0, 6).view(2, 3)
# One of every kind of tensor that a host or an optimizer may hold.
ZOO: Tensors = {
    "single": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "counter": torch.tensor(7, dtype=torch.int64),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "mask": torch.tensor([True, False, True]),
    "half": torch.tensor([1.5, -0.0, 3e-39], dtype=torch.bfloat16),
    "double": torch.tensor([1.0 / 3.0], dtype=torch.float64),
    "complex": torch.tensor([1.0 + 2.0j]),
    "channels_last": torch.arange(48.0).view(2, 3, 4, 2).contiguous(memory_format=torch.channels_last),
    "transposed": torch.arange(6.0).view(2, 3).T,
    "tied_in": TIED,
    "tied_out": TIED,
}


def take(ring: SnapshotRing, tensors: Tensors, step: int = 0, reason: str = "begin", before: Callable[[int], object] = bool) -> Snapshot:
    return ring.take(tensors, {"step": step}, step, reason, before, bool)


def copied(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def same(left: Tensors, right: Tensors) -> bool:
    """Byte for byte, whatever the strides."""
    if left.keys() != right.keys():
        return False
    pairs = [(left[name].detach().contiguous(), right[name].detach().contiguous()) for name in left]
    return all(a.dtype == b.dtype and a.shape == b.shape and raw(a) == raw(b) for a, b in pairs)


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def raising_at(number: int, error: type[BaseException]) -> Callable[[int], object]:
    def before(index: int) -> object:
        if index == number:
            raise error("tripped")
        return index

    return before


def storages(tensors: Tensors) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in tensors.values()} - {0}


@pytest.mark.parametrize("transient", [True, False])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_whatever_copy_fails_the_snapshot_before_it_restores_bit_exactly(
    new_world: Callable[..., Any], optimizer: str, error: type[BaseException], transient: bool
) -> None:
    world = new_world(optimizer)
    world.train()
    ring = SnapshotRing(3, 3)
    wanted = copied(world.host.stable_tensors())
    first = take(ring, world.host.stable_tensors())
    for number in range(len(wanted)):
        world.train()
        for _ in range(1 if transient else 3):
            with pytest.raises(error):
                take(ring, world.host.stable_tensors(), number, "cadence", raising_at(number, error))
        assert ring.published == (first,)
        assert first.is_intact()
        assert same(first.tensors, wanted)
    assert take(ring, world.host.stable_tensors(), 99, "cadence").is_intact()
    assert same(first.tensors, wanted)


@pytest.mark.parametrize("error", ERRORS)
def test_a_failure_while_verifying_publishes_nothing(error: type[BaseException]) -> None:
    ring = SnapshotRing(3, 3)
    first = take(ring, ZOO)
    with pytest.raises(error):
        ring.take(ZOO, {}, 1, "cadence", bool, raising_at(0, error))
    assert ring.published == (first,)
    assert same(first.tensors, ZOO)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["single", "half", "double", "complex", "channels_last"])
def test_a_poisoned_candidate_is_refused_and_named(name: str, value: float) -> None:
    ring = SnapshotRing(3, 3)
    first = take(ring, ZOO)
    poisoned = copied(ZOO)
    poisoned[name][(-1,) * poisoned[name].dim()] = value
    with pytest.raises(NotFinite, match=name):
        take(ring, poisoned, 1, "cadence")
    assert ring.published == (first,)


def test_finite_weights_are_published_also_where_their_sum_overflows() -> None:
    snapshot = take(SnapshotRing(3, 3), ZOO | {"huge": torch.full((4,), 3e38)})
    assert snapshot.tensors["huge"].tolist() == [pytest.approx(3e38)] * 4


def test_equal_bytes_in_another_shape_have_another_digest() -> None:
    ring = SnapshotRing(3, 3)
    assert take(ring, {"weight": torch.ones(4)}).digest != take(ring, {"weight": torch.ones(2, 2)}).digest


def test_every_kind_of_tensor_comes_back_byte_for_byte() -> None:
    snapshot = take(SnapshotRing(3, 3), ZOO)
    assert snapshot.is_intact()
    assert same(snapshot.tensors, ZOO)
    live = {name: torch.empty_like(tensor) for name, tensor in ZOO.items()}
    for name, tensor in snapshot.tensors.items():
        live[name].copy_(tensor)
    assert same(live, ZOO)
    assert live["channels_last"].is_contiguous(memory_format=torch.channels_last)


def test_a_host_without_parameters_has_a_snapshot_too() -> None:
    ring = SnapshotRing(2, 0)
    snapshot = take(ring, {})
    assert (snapshot.is_intact(), snapshot.tensors, snapshot.bytes) == (True, {}, 0)


def test_a_snapshot_shares_no_storage_with_anything_live(new_world: Callable[..., Any]) -> None:
    world = new_world("adam")
    world.train()
    ring = SnapshotRing(3, 3)
    live = world.host.stable_tensors()
    first, second = take(ring, live), take(ring, live, 1, "cadence")
    assert not storages(first.tensors) & storages(live)
    assert not storages(first.tensors) & storages(second.tensors)
    assert not any(tensor.requires_grad for tensor in first.tensors.values())


def test_neither_training_nor_a_second_snapshot_changes_a_published_one(new_world: Callable[..., Any]) -> None:
    world = new_world("adam")
    world.train()
    ring = SnapshotRing(2, 3)
    wanted = copied(world.host.stable_tensors())
    first = take(ring, world.host.stable_tensors())
    for step in range(1, 5):
        world.train()
        take(ring, world.host.stable_tensors(), step, "cadence")
        assert first in ring.published
        assert first.is_intact()
        assert same(first.tensors, wanted)


def test_facts_are_recorded_as_they_were() -> None:
    facts: dict[str, Any] = {"slots": {"s0": [1, 2]}}
    snapshot = SnapshotRing(3, 3).take(ZOO, facts, 0, "begin", bool, bool)
    facts["slots"]["s0"].append(3)
    assert snapshot.facts == {"slots": {"s0": [1, 2]}}
    snapshot.facts["slots"]["s0"][0] = 9
    assert not snapshot.is_intact()


def test_a_single_flipped_bit_anywhere_is_noticed(new_world: Callable[..., Any]) -> None:
    world = new_world("adam")
    world.train()
    ring = SnapshotRing(3, 3)
    for snapshot in (take(ring, world.host.stable_tensors()), take(ring, ZOO, 1, "cadence")):
        for view in (view for view in snapshot.tensors.values() if view.numel()):
            data = view.view(-1).view(torch.uint8)
            for position in range(0, len(data), max(1, len(data) // 10)):
                for bit in range(8):
                    data[position] ^= 1 << bit
                    assert not snapshot.is_intact(), (position, bit)
                    data[position] ^= 1 << bit
        assert snapshot.is_intact()


def test_tensors_begin_on_cache_lines() -> None:
    snapshot = take(SnapshotRing(3, 3), ZOO)
    starts = [view.storage_offset() * view.element_size() for view in snapshot.tensors.values()]
    assert [start % ALIGNMENT for start in starts] == [0] * len(ZOO)


def test_in_a_steady_state_storage_is_used_again() -> None:
    ring = SnapshotRing(3, 1)
    seen: set[int] = set()
    tensors = {"w": torch.ones(4)}
    for step in range(30):
        seen |= storages(take(ring, tensors, step, "cadence" if step else "begin").tensors)
        ring.age()
    assert len(seen) == 4


# Which snapshots stay.


def test_cadence_one_still_promotes_candidates() -> None:
    ring = SnapshotRing(3, 3)
    take(ring, {"w": torch.ones(1)})
    promoted: list[int] = []
    for step in range(1, 12):
        promoted.extend(ring.age())
        if ring.has_room():
            take(ring, {"w": torch.ones(1)}, step, "cadence")
    assert promoted == [1, 2, 3, 4, 5, 6]


def test_a_candidate_on_probation_is_not_dropped_for_cadence() -> None:
    ring = SnapshotRing(3, 3)
    for step in range(3):
        take(ring, {"w": torch.ones(1)}, step, "cadence" if step else "begin")
    assert not ring.has_room()


def test_a_fossil_needs_its_snapshot_now_and_pushes_out_the_youngest_candidate() -> None:
    ring = SnapshotRing(3, 3)
    for step, reason in enumerate(("begin", "cadence", "cadence", "fossilized")):
        take(ring, {"w": torch.ones(1)}, step, reason)
    assert [snapshot.number for snapshot in ring.published] == [3, 1, 0]


def test_a_snapshot_is_trusted_after_its_probation_and_the_first_one_at_once() -> None:
    ring = SnapshotRing(3, 3)
    take(ring, {"w": torch.ones(1)})
    take(ring, {"w": torch.ones(1)}, 1, "cadence")
    assert [ring.age() for _ in range(4)] == [(), (), (1,), ()]
    assert [snapshot.number for snapshot in ring.trusted()] == [1, 0]


@settings(max_examples=60)
@given(st.integers(2, 4), st.integers(0, 4), st.lists(st.sampled_from(["age", "cadence", "fossilized", "failing", "drop"]), max_size=40))
def test_a_good_snapshot_exists_at_every_instant(kept: int, probation: int, moves: list[str]) -> None:
    ring = SnapshotRing(kept, probation)
    live = {"w": torch.zeros(3)}

    def watched(index: int) -> object:
        assert any(snapshot.is_trusted(probation) and snapshot.is_intact() for snapshot in ring.published)
        return index

    take(ring, live)
    for step, move in enumerate(moves, start=1):
        newest = ring.trusted()[0]
        live["w"].fill_(step)
        if move == "age":
            ring.age()
        elif move == "failing":
            with pytest.raises(RuntimeError):
                take(ring, live, step, "cadence", raising_at(0, RuntimeError))
        elif move == "drop":
            ring.drop(frozenset(snapshot.number for snapshot in ring.published if snapshot.number > newest.number))
        elif move == "fossilized" or ring.has_room():
            take(ring, live, step, move, watched)
        numbers = [snapshot.number for snapshot in ring.published]
        assert newest.number in numbers
        assert len(numbers) <= kept
        assert numbers == sorted(numbers, reverse=True)
        assert all(same(s.tensors, {"w": torch.full((3,), float(s.step))}) and s.is_intact() for s in ring.published)


# Through a checkpoint.


@pytest.fixture
def shuffled() -> Callable[[Tensors], Tensors]:
    """Through the bytes of a checkpoint, which gives tensors back in an order of its own."""

    def through(tensors: Tensors) -> Tensors:
        read = load(save({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}))
        return dict(sorted(read.items(), reverse=True))

    return through


def test_snapshots_are_intact_after_a_checkpoint_whatever_the_order_of_its_tensors(
    new_world: Callable[..., Any], shuffled: Callable[[Tensors], Tensors]
) -> None:
    world = new_world("adam")
    ring = world.governor.snapshots
    for _ in range(6):
        world.live()
    assert len(ring.published) == 2
    tensors, facts = ring.capsule()
    resumed = SnapshotRing(3, 3)
    resumed.restore(shuffled(tensors), json.loads(json.dumps(facts)))
    for before, after in zip(ring.published, resumed.published, strict=True):
        assert after.is_intact()
        assert same(after.tensors, before.tensors)
        kept = ("number", "step", "reason", "digest", "facts", "healthy_steps")
        assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert take(resumed, world.host.stable_tensors(), 7, "cadence").number == 2


def test_a_governor_rolls_back_after_a_checkpoint(new_world: Callable[..., Any], shuffled: Callable[[Tensors], Tensors]) -> None:
    world = new_world("sgd")
    for _ in range(4):
        world.live()
    wanted = copied({name: t for name, t in world.governor.snapshots.trusted()[0].tensors.items() if name.startswith("host/")})
    tensors, facts = world.governor.capsule()
    world.governor.restore(shuffled(tensors), json.loads(json.dumps(facts)))
    assert world.die().penalty == -10.0
    assert same({name: t for name, t in world.host.stable_tensors().items() if name.startswith("host/")}, wanted)
    assert world.at == Point(5, 0)


def test_a_resumed_governor_is_the_same_in_everything(new_world: Callable[..., Any]) -> None:
    world = new_world(snapshot_every=100)
    world.bring("s0", Stage.HOLDING)
    for _ in range(10):
        world.live(0.05)
    world.die()
    for losses, grace, streaks in (([0.3], 2, {}), ([0.3, 0.3, 9.0], 0, {"recovery_failed": 1, "loss_explosion": 1})):
        for loss in losses:
            world.live(loss)
        resumed = new_world(snapshot_every=100).governor
        resumed.restore(*world.governor.capsule())
        facts = world.governor.capsule()[1]
        assert resumed.capsule()[1] == facts
        assert (facts["grace"], facts["jury"]["streaks"], facts["life"], facts["rollback_steps"]) == (grace, streaks, 1, [11])


def test_a_fossil_whose_snapshot_is_trusted_comes_back_with_its_host(new_world: Callable[..., Any]) -> None:
    world = new_world()
    world.bring("s0", Stage.FOSSILIZED)
    world.live(fossilized=True)
    wanted = copied(world.host.host.tensors())
    for _ in range(3):
        world.live()
    with torch.no_grad():
        for tensor in world.host.host.seed_tensors("s0").values():
            tensor.fill_(float("nan"))
    world.die()
    assert same(world.host.host.tensors(), wanted)
    assert world.host.state("s0").stage is Stage.FOSSILIZED


def test_candidates_of_a_flagged_step_are_withdrawn_and_what_is_trusted_stays() -> None:
    ring = SnapshotRing(kept=4, probation=2)
    tensors = {"weight": torch.ones(3)}
    take(ring, tensors, step=5)
    for step in (5, 6, 7):
        take(ring, tensors, step=step, reason="cadence")
    assert ring.withdraw(6) == (3, 2)
    assert [snapshot.number for snapshot in ring.published] == [1, 0]
    assert ring.withdraw(0) == (1,)


def test_what_is_not_sealed_yet_has_an_empty_digest() -> None:
    ring = SnapshotRing(3, 3, "offload")
    take(ring, ZOO)
    assert take(ring, ZOO, 1, "cadence").digest == ""
