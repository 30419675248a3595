"""What the ring does with copies that are still on their way; the ways themselves need a device and are under tests/gpu."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from tolaria.governor import snapshots
from tolaria.governor.arena import CPU, Arena, Bound
from tolaria.governor.memory_policy import Placement
from tolaria.governor.offload import Offload, Pending
from tolaria.governor.segments import Layout
from tolaria.governor.snapshots import SnapshotRing, without_optimizer
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import SnapshotRefused, SnapshotTrusted

Tensors = dict[str, torch.Tensor]


@dataclass
class Late:
    """A copy that arrives when the test says so, or when somebody waits for it."""

    arena: Arena
    values: Tensors
    waited: int = 0
    arrived: bool = False

    def has_arrived(self) -> bool:
        return self.arrived

    def wait(self) -> None:
        self.waited += 1
        self.arrive()

    def arrive(self) -> None:
        if not self.arrived:
            self.arrived = True
            for name, value in self.values.items():
                self.arena.views[name].copy_(value)

    def is_finite(self) -> bool:
        assert self.arrived
        return not self.arena.nonfinite()


@dataclass
class Slow:
    """Stands for the way off a device: what it is given is in host memory already, and arrives late."""

    pinned: bool = False
    begun: list[Late] = field(default_factory=list)

    def take(self, bound: Bound, target: Arena) -> Pending:
        values = {name: tensor.detach().clone() for name, tensor in zip(bound.names, bound.live, strict=True)}
        self.begun.append(Late(target, values))
        return cast(Pending, self.begun[-1])


def slow(ring: SnapshotRing) -> Slow:
    """From here on this ring's copies are late."""
    way = Slow()
    ring._offload = cast(Offload, way)
    return way


def take(ring: SnapshotRing, value: float, reason: str = "cadence") -> None:
    ring.take({"w": torch.full((4,), value)}, {}, 0, reason, None, bool)


@pytest.fixture
def ring() -> SnapshotRing:
    """One that holds a first snapshot, trusted from the start."""
    ring = SnapshotRing(3, 1, "offload")
    take(ring, 0.5, "begin")
    return ring


def test_the_first_snapshot_of_a_life_is_waited_for() -> None:
    ring = SnapshotRing(3, 1, "offload")
    way = slow(ring)
    take(ring, 0.5, "begin")
    assert way.begun[0].waited == 1
    assert [snapshot.is_intact() for snapshot in ring.trusted()] == [True]


def test_a_copy_on_its_way_is_published_and_not_trusted_however_long_it_takes(ring: SnapshotRing) -> None:
    way = slow(ring)
    take(ring, 2.0)
    assert [ring.age() for _ in range(3)] == [(), (), ()]
    assert [(snapshot.number, snapshot.is_trusted(0)) for snapshot in ring.published] == [(1, False), (0, True)]
    assert way.begun[0].waited == 0


def test_a_copy_that_arrives_after_its_probation_becomes_trusted_in_the_next_step(ring: SnapshotRing) -> None:
    way = slow(ring)
    take(ring, 2.0)
    ring.age()
    ring.age()
    way.begun[0].arrive()
    assert ring.age() == (1,)
    assert ring.trusted()[0].is_intact()
    assert ring.trusted()[0].tensors["w"].tolist() == [2.0] * 4


def test_what_arrives_and_is_not_finite_is_dropped_and_told_once(ring: SnapshotRing) -> None:
    way = slow(ring)
    take(ring, math.nan)
    way.begun[0].arrive()
    assert ring.age() == ()
    assert [snapshot.number for snapshot in ring.published] == [0]
    assert ring.refused() == ("NotFinite: snapshot 1: not finite: w",)
    assert ring.refused() == ()


def test_storage_of_a_copy_that_is_given_up_is_used_again_only_when_it_has_arrived(ring: SnapshotRing) -> None:
    way = slow(ring)
    take(ring, 2.0)
    ring.drop(frozenset({1}))
    assert way.begun[0].waited == 1
    take(ring, 3.0)
    assert way.begun[1].arena is way.begun[0].arena


def test_a_checkpoint_waits_for_what_is_on_its_way(ring: SnapshotRing) -> None:
    way = slow(ring)
    take(ring, 2.0)
    tensors, facts = ring.capsule()
    assert way.begun[0].waited == 1
    assert tensors["1/w"].tolist() == [2.0] * 4
    assert all(head["digest"] for head in facts["published"])


def test_a_copy_that_arrives_late_keeps_none_waiting_that_has_arrived() -> None:
    ring = SnapshotRing(4, 1, "offload")
    take(ring, 0.5, "begin")
    way = slow(ring)
    take(ring, 1.0)
    take(ring, 2.0)
    way.begun[0].arrive()
    assert ring.age() == (1,)


def test_of_several_that_are_not_finite_each_is_told() -> None:
    ring = SnapshotRing(4, 1, "offload")
    take(ring, 0.5, "begin")
    way = slow(ring)
    for value in (math.nan, math.inf):
        take(ring, value)
    for late in way.begun:
        late.arrive()
    ring.age()
    assert ring.refused() == ("NotFinite: snapshot 2: not finite: w", "NotFinite: snapshot 1: not finite: w")


def test_a_late_copy_is_verified_as_the_first_of_its_seam_and_a_failure_there_passes(ring: SnapshotRing) -> None:
    way = slow(ring)

    def tripped(index: int) -> object:
        raise MemoryError(index)

    with pytest.raises(MemoryError, match=r"^0$"):
        ring.take({"w": torch.ones(4)}, {}, 0, "cadence", None, tripped)
    assert [snapshot.number for snapshot in ring.published] == [0]
    take(ring, 2.0)
    assert way.begun[1].arena is way.begun[0].arena


def test_host_memory_that_cannot_be_pinned_costs_one_snapshot_only(ring: SnapshotRing, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(ring)

    def refuse(*arguments: object, **options: object) -> Arena:
        raise RuntimeError("CUDA error: out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(Arena, "allocate", refuse)
        with pytest.raises(RuntimeError, match="out of memory"):
            take(ring, 2.0)
    assert [(snapshot.number, snapshot.is_trusted(1)) for snapshot in ring.published] == [(0, True)]
    take(ring, 3.0)
    assert [snapshot.number for snapshot in ring.published] == [1, 0]


def test_whoever_wants_to_be_asked_before_each_tensor_has_them_copied_at_once(ring: SnapshotRing) -> None:
    way = slow(ring)
    ring.take({"w": torch.ones(4)}, {}, 0, "cadence", bool, bool)
    assert (way.begun, ring.published[0].pending) == ([], None)


# On a device. What a machine has of memory, and the way itself, are given by the test.


@dataclass
class Way:
    """A way off a device that nothing travels on."""

    device: torch.device
    mirrors: int


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[Way]:
    """Every way that is opened; all tensors are seen as those of the device that bears the number of their first value."""
    opened: list[Way] = []
    seen = Bound.to

    def to(tensors: Tensors) -> Bound:
        bound = seen(tensors)
        if not tensors:
            return bound
        device = torch.device("cuda", int(bound.live[0][0]))
        return replace(bound, device=device, cuda_devices=frozenset({device}))

    def opening(device: torch.device, mirrors: int) -> Way:
        opened.append(Way(device, mirrors))
        return opened[-1]

    monkeypatch.setattr(Bound, "to", staticmethod(to))
    monkeypatch.setattr(snapshots, "Offload", opening)
    return opened


def memory(monkeypatch: pytest.MonkeyPatch, free: int, total: int, host: int) -> None:
    """What device 1 has, and the host."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", {torch.device("cuda", 1): (free, total)}.__getitem__)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=host))


@pytest.mark.parametrize(
    ("free", "host", "mirrors", "names"),
    [
        # A state of 400 bytes, four times in the host, where each takes 512; a tenth of its memory is kept for others, and of the
        # device's 2,000 too.
        (1000, 2280, 2, ["host/w", "optimizer/host/w/m"]),
        (999, 2280, 1, ["host/w", "optimizer/host/w/m"]),
        (600, 2280, 1, ["host/w", "optimizer/host/w/m"]),
        (599, 2280, 0, ["host/w", "optimizer/host/w/m"]),
        (1000, 2270, 0, ["host/w"]),
    ],
)
def test_where_copies_go_is_decided_by_the_memory_that_is_left(
    monkeypatch: pytest.MonkeyPatch, ways: list[Way], free: int, host: int, mirrors: int, names: list[str]
) -> None:
    memory(monkeypatch, free, 2000, host)
    ring = SnapshotRing(3, 1, "offload")
    bound = ring._bind({"host/w": torch.ones(60), "optimizer/host/w/m": torch.ones(40)})
    assert ways == [Way(torch.device("cuda", 1), mirrors)]
    assert (list(bound.names), bound is ring._bound) == (names, True)


def test_what_is_pinned_apart_is_counted_apart(monkeypatch: pytest.MonkeyPatch, ways: list[Way]) -> None:
    """Three slots of 260 bytes take 512 each; as one they would take 1,024."""
    memory(monkeypatch, 10_000, 10_000, 6830)
    apart = SnapshotRing(3, 1, "offload")
    apart._bind({f"host/slots.s{n}.w": torch.ones(65) for n in range(3)})
    assert apart.placement is Placement.TWO_MIRRORS
    memory(monkeypatch, 10_000, 10_000, 6820)
    short = SnapshotRing(3, 1, "offload")
    short._bind({f"host/slots.s{n}.w": torch.ones(65) for n in range(3)})
    assert short.placement is Placement.PARAMETERS_ONLY


def test_a_way_serves_until_the_state_is_on_another_device(monkeypatch: pytest.MonkeyPatch, ways: list[Way]) -> None:
    monkeypatch.setattr(snapshots, "_placement", lambda *_: Placement.TWO_MIRRORS)
    ring = SnapshotRing(3, 1, "offload")
    tensors = {"w": torch.ones(4)}
    assert ring._bind(tensors) is ring._bind(tensors)
    ring._bind({"w": torch.ones(5)})
    assert [way.device.index for way in ways] == [1]
    ring._bind({"w": torch.full((4,), 2.0)})
    assert [way.device.index for way in ways] == [1, 2]


def test_where_copies_are_kept_is_told_as_it_has_become(monkeypatch: pytest.MonkeyPatch, ways: list[Way]) -> None:
    monkeypatch.setattr(snapshots, "_placement", lambda *_: Placement.TWO_MIRRORS)
    ring = SnapshotRing(3, 1, "offload")
    ring._bind({"w": torch.ones(4)})
    assert ring.placement is Placement.TWO_MIRRORS
    ways[0].mirrors = 0
    assert ring.placement is Placement.PINNED


def test_what_is_sealed_at_once_is_waited_for_and_needs_no_way(ways: list[Way]) -> None:
    ring = SnapshotRing(3, 1, "always")
    ring._bind({"w": torch.ones(4)})
    assert (ways, ring.placement) == ([], None)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """The devices that were waited for."""
    devices: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", devices.append)
    return devices


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What storage was asked for: where, whether pinned, and what stays in host memory. It is given in host memory."""
    wishes: list[tuple[object, ...]] = []
    allocate = Arena.allocate

    def given(layout: Layout, *wish: object) -> Arena:
        wishes.append(wish[:3])
        return allocate(layout, CPU)

    monkeypatch.setattr(Arena, "allocate", staticmethod(given))
    return wishes


@pytest.mark.parametrize(
    ("way", "wish"),
    [
        (None, (torch.device("cuda", 1), False, frozenset())),
        (Slow(pinned=False), (CPU, False, frozenset())),
        (Slow(pinned=True), (CPU, True, frozenset({"w"}))),
    ],
)
def test_storage_is_pinned_in_the_host_where_there_is_a_way_and_on_the_device_where_there_is_none(
    asked: list[tuple[object, ...]], way: Slow | None, wish: tuple[object, ...]
) -> None:
    ring = SnapshotRing(3, 1, "offload")
    ring._offload = cast(Offload | None, way)
    bound = Bound.to({"w": torch.ones(4)})
    ring._arena_for(replace(bound, device=torch.device("cuda", 1), in_host_memory=frozenset({"w"})))
    assert asked == [wish]


def test_a_copy_without_a_way_waits_for_its_own_device(
    ways: list[Way], waited: list[torch.device], asked: list[tuple[object, ...]]
) -> None:
    take(SnapshotRing(3, 1, "always"), 1.0)
    assert waited == [torch.device("cuda", 1)]


def test_storage_that_a_failed_copy_gives_back_is_written_to_no_more(
    monkeypatch: pytest.MonkeyPatch, ways: list[Way], waited: list[torch.device]
) -> None:
    monkeypatch.setattr(snapshots, "_placement", lambda *_: Placement.TWO_MIRRORS)
    monkeypatch.setattr(snapshots, "Offload", lambda *_: Slow())
    ring = SnapshotRing(3, 1, "offload")
    take(ring, 1.0)
    assert waited == []
    with pytest.raises(ZeroDivisionError):
        ring.take({"w": torch.ones(4)}, {}, 1, "cadence", None, lambda index: 1 / index)
    assert waited == [torch.device("cuda", 1)]


def test_once_memory_was_found_short_every_snapshot_is_without_optimizer_state() -> None:
    ring = SnapshotRing(3, 1, "offload")
    ring._placement = Placement.PARAMETERS_ONLY
    for step, reason in enumerate(("begin", "cadence")):
        snapshot = ring.take({"host/w": torch.ones(2), "optimizer/host/w/exp_avg": torch.ones(2)}, {}, step, reason, None, bool)
        assert list(snapshot.tensors) == ["host/w"]
    assert ring.placement is Placement.PARAMETERS_ONLY
    ring.clear()
    assert ring.placement is None


def test_where_memory_is_short_only_optimizer_state_is_left_out() -> None:
    names = ("host/w", "host/optimizer/w", "optimizer/host/w/exp_avg")
    assert list(without_optimizer(dict.fromkeys(names, torch.ones(1)))) == ["host/w", "host/optimizer/w"]


def test_a_governor_tells_of_a_snapshot_that_turned_out_not_to_be_finite(new_world: Callable[..., Any]) -> None:
    world = new_world("sgd", digest="offload", snapshot_every=1, probation=1)
    way = slow(world.governor.snapshots)
    world.governor.snapshots.take({"w": torch.tensor([math.inf])}, {}, 0, "cadence", None, bool)
    way.begun[0].arrive()
    world.live()
    assert world.told(SnapshotRefused) == [SnapshotRefused(Point(1, 0), "NotFinite: snapshot 1: not finite: w")]
    assert world.told(SnapshotTrusted) == []
