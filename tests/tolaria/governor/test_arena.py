import math
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tolaria
from tolaria.errors import RollbackFailed
from tolaria.governor.arena import Arena, Bound, LayoutChanged
from tolaria.governor.pages import ALIGNMENT, STREAMED_FROM, Streamed
from tolaria.governor.rollback import roll_back
from tolaria.governor.segments import RUN_BYTES, layout_of
from tolaria.governor.snapshots import SnapshotRing
from tolaria.seams import NO_TAPS

CPU = torch.device("cpu")
TIED = torch.linspace(-1.0, 1.0, 6).view(2, 3)
Tensors = dict[str, torch.Tensor]


def zoo() -> Tensors:
    """One of every kind of tensor; names are not in order, and dtypes are mixed on purpose."""
    return {
        "weight": torch.nn.Parameter(torch.randn(5, 7)),
        "counter": torch.tensor(7, dtype=torch.int64),
        "half": torch.tensor([1.5, -0.0, 3e-39], dtype=torch.bfloat16),
        "short": torch.tensor([6e4, -6e4], dtype=torch.float16),
        "empty": torch.zeros(0, 3),
        "mask": torch.tensor([True, False, True]),
        "bias": torch.nn.Parameter(torch.tensor([-0.0, 1e-45])),
        "channels_last": torch.arange(48.0).view(2, 3, 4, 2).contiguous(memory_format=torch.channels_last),
        "single": torch.tensor(2.5),
        "transposed": torch.arange(6.0).view(2, 3).T,
        "double": torch.tensor([1.0 / 3.0], dtype=torch.float64),
        "complex": torch.tensor([1.0 + 2.0j]),
        "tied_in": TIED,
        "tied_out": TIED,
    }


def taken(tensors: Tensors, before_copy: Callable[[int], object] | None = None) -> Arena:
    bound = Bound.to(tensors)
    arena = Arena.allocate(bound.layout, bound.device)
    arena.copy_in(bound, before_copy)
    return arena


def flat_bytes(arena: Arena) -> list[bytes]:
    return [flat.view(torch.uint8).numpy().tobytes() for flat in arena.flats]


def raw(tensors: Tensors) -> dict[str, bytes]:
    return {
        name: t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b"" for name, t in tensors.items()
    }


# Copies.


def test_all_at_once_and_one_by_one_write_the_same_bytes() -> None:
    tensors = zoo()
    assert flat_bytes(taken(tensors)) == flat_bytes(taken(tensors, bool))
    assert raw(taken(tensors).views) == raw(tensors)


def test_whoever_asks_is_asked_once_before_every_copy_in_and_out() -> None:
    tensors = zoo()
    asked: list[int] = []
    arena = taken(tensors, asked.append)
    arena.copy_out(tensors, tensors, asked.append)
    assert asked == [*range(14), *range(14)]


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("before_copy", [None, bool])
def test_everything_comes_back_byte_for_byte_also_twice(before_copy: Callable[[int], object] | None, is_known: bool) -> None:
    tensors = zoo()
    wanted = raw(tensors)
    arena = taken(tensors)
    known = Bound.to(tensors) if is_known else None
    for _ in range(2):
        with torch.no_grad():
            for tensor in tensors.values():
                tensor.fill_(0)
        arena.copy_out(arena.views, tensors, before_copy, known)
        assert raw(tensors) == wanted
    assert tensors["channels_last"].is_contiguous(memory_format=torch.channels_last)


def test_only_what_is_named_is_written_back() -> None:
    tensors = {"a": torch.ones(3), "b": torch.ones(3)}
    arena = taken(tensors)
    for tensor in tensors.values():
        tensor.fill_(5.0)
    arena.copy_out(["b"], tensors, None)
    assert (tensors["a"].tolist(), tensors["b"].tolist()) == ([5.0] * 3, [1.0] * 3)


def test_what_goes_back_to_a_device_goes_in_pieces_and_each_tensor_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = zoo()
    monkeypatch.setattr("tolaria.governor.arena.STAGED_BYTES", 64)
    arena = taken(tensors)
    pieces = list(arena.staged(tensors, CPU))
    assert sorted(name for piece in pieces for name in piece) == sorted(tensors)
    assert len(pieces) > len({tensor.dtype for tensor in tensors.values()})
    assert raw({name: view for piece in pieces for name, view in piece.items()}) == raw(tensors)


def test_of_a_piece_nobody_asks_for_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    arena = taken({"a": torch.ones(3), "b": torch.ones(3), "c": torch.ones(3, dtype=torch.float64)})
    sent: list[torch.dtype] = []
    to = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda piece, *how, **options: [sent.append(piece.dtype), to(piece, *how, **options)][1])
    assert [list(piece) for piece in arena.staged(["b"], CPU)] == [["b"]]
    assert sent == [torch.float32]


def test_what_lies_in_host_memory_or_fills_a_piece_alone_is_not_staged(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {"large": torch.ones(40), "counter": torch.ones(3, dtype=torch.float64), "other": torch.ones(3, dtype=torch.float64)}
    arena = Arena.allocate(layout_of(tensors), CPU, in_host_memory=frozenset({"counter", "other"}))
    monkeypatch.setattr(torch.Tensor, "to", None)
    assert [list(piece) for piece in arena.staged(tensors, CPU)] == [["large"], ["counter", "other"]]


@pytest.mark.parametrize("before_copy", [None, bool])
def test_a_restore_between_forward_and_backward_raises(before_copy: Callable[[int], object] | None) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    arena = taken({"weight": weight})
    loss = (weight * weight).sum()
    arena.copy_out(["weight"], {"weight": weight}, before_copy)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_identities_and_hooks_survive_a_restore() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    fired: list[int] = []
    weight.register_hook(lambda _: fired.append(1))
    taken({"weight": weight}).copy_out(["weight"], {"weight": weight}, None)
    (weight * 2.0).sum().backward()
    assert fired == [1]


def test_an_arena_shares_no_storage_with_live_tensors() -> None:
    tensors = zoo()
    arena = taken(tensors)
    live = {tensor.untyped_storage().data_ptr() for tensor in tensors.values()} - {0}
    assert not live & {flat.untyped_storage().data_ptr() for flat in arena.flats}


def test_a_ring_refuses_a_changed_layout_and_keeps_its_snapshots_until_it_is_cleared() -> None:
    weight = torch.nn.Parameter(torch.ones(4))
    ring = SnapshotRing(3, 3)
    first = ring.take({"weight": weight}, {}, 0, "begin", None, bool)
    weight.data = weight.data[:2]
    with pytest.raises(LayoutChanged):
        ring.take({"weight": weight}, {}, 1, "cadence", None, bool)
    assert ring.published == (first,)
    ring.clear()
    assert ring.take({"weight": weight}, {}, 2, "begin", None, bool).tensors["weight"].shape == (2,)


# Storage.


def test_flats_begin_on_cache_lines() -> None:
    assert {flat.data_ptr() % ALIGNMENT for flat in taken(zoo()).flats} == {0}


def test_views_of_one_dtype_do_not_overlap() -> None:
    arena = Arena.allocate(layout_of({"a": torch.ones(3), "b": torch.ones(17), "c": torch.ones(1)}), CPU)
    for number, view in enumerate(arena.views.values(), start=1):
        view.fill_(float(number))
    assert [sorted(set(view.tolist())) for view in arena.views.values()] == [[1.0], [2.0], [3.0]]


# Validation.


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_what_is_not_finite_is_named_in_every_dtype(dtype: torch.dtype, value: float) -> None:
    tensors = {"good": torch.ones(3, dtype=dtype), "bad": torch.tensor([1.0, value], dtype=dtype)}
    assert taken(tensors).nonfinite() == ("bad",)


def test_infinities_that_would_cancel_are_found() -> None:
    assert taken({"bad": torch.tensor([float("inf"), -float("inf")])}).nonfinite() == ("bad",)


@pytest.mark.parametrize(("dtype", "value"), [(torch.float16, 6e4), (torch.float32, 3e38), (torch.bfloat16, 3e38)])
def test_finite_values_whose_sum_overflows_are_finite(dtype: torch.dtype, value: float) -> None:
    assert taken({"large": torch.full((4,), value, dtype=dtype)}).nonfinite() == ()


def checked(tensors: Tensors) -> tuple[Arena, tuple[str, ...]]:
    bound = Bound.to(tensors)
    arena = Arena.allocate(bound.layout, bound.device)
    return arena, arena.copy_in_checked(bound)


def test_copying_and_checking_at_once_writes_what_copying_alone_does() -> None:
    tensors = zoo()
    arena, spoiled = checked(tensors)
    assert (flat_bytes(arena), spoiled) == (flat_bytes(taken(tensors)), ())


@pytest.mark.parametrize("name", ["weight", "half", "short", "channels_last", "single", "transposed", "double", "complex", "tied_in"])
def test_whatever_is_not_finite_is_named_while_it_is_copied(name: str) -> None:
    tensors = {key: tensor.detach().clone() for key, tensor in zoo().items()}
    tensors[name][(-1,) * tensors[name].dim()] = math.nan
    assert checked(tensors)[1] == (name,)


@pytest.mark.parametrize("place", [0, RUN_BYTES // 4 - 1, RUN_BYTES // 4, -1])
def test_every_run_of_a_large_state_is_checked(place: int) -> None:
    tensors = {name: torch.zeros(RUN_BYTES // 4) for name in ("a", "b", "c")}
    tensors["b"][place % len(tensors["b"])] = math.inf
    assert checked(tensors)[1] == ("b",)


def test_runs_whose_sums_overflow_only_together_are_finite() -> None:
    assert checked({name: torch.full((RUN_BYTES // 4,), 1e32) for name in ("a", "b")})[1] == ()


def test_large_sums_of_half_precision_need_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Arena, "nonfinite", lambda _: ("asked",))
    assert checked({"a": torch.full((100,), 6e4, dtype=torch.float16)})[1] == ()


def test_eight_bit_floats_are_checked_too() -> None:
    eight = torch.tensor([1.0, 448.0]).to(torch.float8_e4m3fn)
    assert checked({"a": eight})[1] == ()
    assert checked({"a": torch.tensor([math.nan]).to(torch.float8_e4m3fn)})[1] == ("a",)


def test_bytes_have_one_digest_however_their_storage_is_planned() -> None:
    bound = Bound.to(zoo())
    plans = (frozenset[str](), frozenset({"counter", "single"}))
    arenas = [Arena.allocate(bound.layout, CPU, in_host_memory=plan) for plan in plans]
    for arena in arenas:
        arena.copy_in(bound, None)
    assert len(arenas[0].segments) < len(arenas[1].segments)
    assert arenas[0].digest({}) == arenas[1].digest({})


def test_a_segment_that_did_not_change_is_kept_and_any_other_is_planned_anew() -> None:
    small = layout_of({"host/w": torch.ones(2), "host/slots.a.w": torch.ones(2), "host/slots.b.w": torch.ones(2)})
    large = small | layout_of({"host/slots.b.w": torch.ones(3), "host/slots.c.w": torch.ones(1)})
    before = Arena.allocate(small, CPU)
    after = Arena.allocate({name: large[name] for name in sorted(large)}, CPU, kept=before.segments)
    same = {key: after.segments[key] is before.segments.get(key) for key in after.segments}
    assert same == {"slots.a": True, "slots.b": False, "slots.c": False, "trunk": True}
    assert after.views["host/w"].data_ptr() == before.views["host/w"].data_ptr()


def test_a_copy_that_fails_on_the_way_back_is_not_passed_over() -> None:
    arena = taken({"a": torch.ones(3), "b": torch.ones(3)})
    with pytest.raises(RuntimeError):
        arena.copy_out(["a", "b"], {"a": torch.ones(3), "b": torch.ones(4)}, None)


def test_nobody_reads_the_state_of_the_global_generator_of_numpy_which_costs_more_than_a_small_model() -> None:
    package = Path(tolaria.__file__).parent
    assert [path.name for path in package.rglob("*.py") if "random.get_state" in path.read_text(encoding="utf-8")] == []


# When a snapshot is sealed.


def test_in_offload_mode_a_candidate_is_sealed_when_it_becomes_trusted() -> None:
    ring = SnapshotRing(3, 2, "offload")
    live = {"w": torch.ones(4)}
    assert ring.take(live, {}, 0, "begin", None, bool).is_intact()
    assert ring.take(live, {}, 1, "cadence", None, bool).digest == ""
    ring.age()
    assert [bool(snapshot.digest) for snapshot in ring.published] == [False, True]
    ring.age()
    assert [snapshot.is_intact() for snapshot in ring.published] == [True, True]


def test_in_offload_mode_what_leaves_memory_is_sealed() -> None:
    ring = SnapshotRing(3, 2, "offload")
    for step, reason in enumerate(("begin", "cadence")):
        ring.take({"w": torch.ones(4)}, {}, step, reason, None, bool)
    assert all(head["digest"] for head in ring.capsule()[1]["published"])


def test_both_modes_come_to_the_same_digest() -> None:
    live = {"w": torch.ones(4)}
    late = SnapshotRing(3, 2, "offload").take(live, {}, 1, "cadence", None, bool)
    assert late.sealed().digest == SnapshotRing(3, 2).take(live, {}, 1, "cadence", None, bool).digest


def test_an_unsealed_snapshot_does_not_pass_for_intact() -> None:
    assert not SnapshotRing(3, 2, "offload").take({"w": torch.ones(4)}, {}, 1, "cadence", None, bool).is_intact()


# In the governor, where nobody listens.


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rollback_without_taps_gives_the_bytes_of_one_with_taps(new_world: Callable[..., Any], optimizer: str) -> None:
    results = []
    for taps in (None, NO_TAPS):
        world = new_world(optimizer)
        world.taps = taps or world.taps
        world.governor._taps = world.taps
        for _ in range(9):
            world.live()
        wanted = raw({name: t for name, t in world.governor.snapshots.trusted()[0].tensors.items() if name.startswith("host/")})
        roll_back(world.governor.snapshots, world.host, world.at, False, world.config, world.taps)
        assert {name: data for name, data in world.bytes().items() if name.startswith("host/")} == wanted
        results.append((world.bytes(), [s.digest for s in world.governor.snapshots.published], world.events))
    assert results[0] == results[1]


def test_a_rollback_verifies_the_digest_before_anything_is_written(new_world: Callable[..., Any]) -> None:
    world = new_world("sgd", digest="offload")
    world.governor.snapshots.published[0].tensors["host/head.bias"].add_(1.0)
    before = world.bytes()
    with pytest.raises(RollbackFailed, match="its bytes are not those"):
        roll_back(world.governor.snapshots, world.host, world.at, False, world.config, NO_TAPS)
    assert world.bytes() == before


def test_a_second_snapshot_leaves_the_first_as_it_was_when_all_is_copied_at_once() -> None:
    ring = SnapshotRing(2, 3)
    live = {"w": torch.ones(4)}
    first = ring.take(live, {}, 0, "begin", None, bool)
    for step in range(1, 5):
        live["w"].fill_(float(step + 1))
        ring.take(live, {}, step, "cadence", None, bool)
        assert first.tensors["w"].tolist() == [1.0] * 4
        assert first.is_intact()


@pytest.mark.parametrize("place", [0, STREAMED_FROM // 2, STREAMED_FROM - 1])
def test_every_byte_of_a_large_tensor_is_in_the_digest(place: int) -> None:
    live = {"large": torch.zeros(STREAMED_FROM, dtype=torch.uint8), "small": torch.zeros(3)}
    bound = Bound.to(live)
    arena = Arena.allocate(bound.layout, bound.device)
    arena.copy_in(bound, None)
    before = arena.digest({})
    arena.views["large"][place] = 1
    assert arena.digest({}) != before


def test_a_byte_of_every_page_is_known_of_large_live_tensors_and_not_of_an_arena_whose_pages_are_huge() -> None:
    live = {"large": torch.arange(STREAMED_FROM, dtype=torch.int32), "small": torch.zeros(3)}
    bound = Bound.to(live)
    arena = Arena.allocate(bound.layout, bound.device)
    there, here = bound.raws[0], arena.raws[0]
    assert isinstance(there, Streamed)
    assert isinstance(here, Streamed)
    assert here.pages is None
    assert there.pages is not None
    assert len(there.pages) == -(-len(there) // mmap.PAGESIZE)
    arena.copy_in(bound, None)
    live["large"].zero_()
    arena.copy_out(list(live), live, None, bound)
    assert torch.equal(live["large"], torch.arange(STREAMED_FROM, dtype=torch.int32))
