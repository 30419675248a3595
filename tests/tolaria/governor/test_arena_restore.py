"""Restores that write bytes, because the tensors are known and are still where they were."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tolaria.errors import RollbackFailed
from tolaria.governor.arena import Arena, Bound
from tolaria.governor.rollback import roll_back
from tolaria.governor.segments import RUN_BYTES
from tolaria.seams import NO_TAPS

Tensors = dict[str, torch.Tensor]


def never(*_: object) -> None:
    raise AssertionError("torch was asked to copy")


def known_and_taken(tensors: Tensors) -> tuple[Bound, Arena]:
    """How the tensors lie, and an arena that holds what is in them."""
    known = Bound.to(tensors)
    arena = Arena.allocate(known.layout, known.device)
    arena.copy_in(known, None)
    return known, arena


def test_what_lies_flat_is_written_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {"a": torch.ones(3), "b": torch.ones(2, 2)}
    known, arena = known_and_taken(tensors)
    for tensor in tensors.values():
        tensor.fill_(5.0)
    monkeypatch.setattr(torch, "_foreach_copy_", never)
    arena.copy_out(tensors, tensors, None, known)
    assert (tensors["a"].tolist(), tensors["b"].tolist()) == ([1.0] * 3, [[1.0] * 2] * 2)


@pytest.mark.parametrize("name", ["b", "turned"])
def test_of_known_tensors_only_those_that_are_named_are_written_and_tell_of_it(name: str) -> None:
    tensors = {"a": torch.ones(3), "b": torch.ones(3), "turned": torch.ones(2, 3).T, "other": torch.ones(2, 3).T}
    known, arena = known_and_taken(tensors)
    for tensor in tensors.values():
        tensor.fill_(5.0)
    versions = {key: tensor._version for key, tensor in tensors.items()}
    arena.copy_out([name], tensors, None, known)
    assert {key for key, tensor in tensors.items() if (tensor == 1.0).all()} == {name}
    assert {key for key, tensor in tensors.items() if tensor._version != versions[key]} == {name}


def test_a_restore_by_bytes_between_forward_and_backward_raises() -> None:
    weight, base = torch.nn.Parameter(torch.ones(3)), torch.ones(4, requires_grad=True)
    tensors = {"weight": weight, "view": base.detach()[:2]}
    known, arena = known_and_taken(tensors)
    losses = (weight * weight).sum(), (base * base).sum()
    arena.copy_out(tensors, tensors, None, known)
    for loss in losses:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_tensors_without_a_version_come_back_too() -> None:
    with torch.inference_mode():
        tensors = {"a": torch.ones(3)}
    known, arena = known_and_taken(tensors)
    with torch.inference_mode():
        tensors["a"].fill_(5.0)
    arena.copy_out(tensors, tensors, None, known)
    assert tensors["a"].tolist() == [1.0] * 3


@pytest.mark.parametrize("change", ["storage", "order", "tensor"])
def test_what_is_no_longer_where_it_was_comes_back_by_torch(change: str) -> None:
    weight = torch.nn.Parameter(torch.arange(9.0).view(3, 3))
    tensors: Tensors = {"weight": weight}
    (known, arena), wanted = known_and_taken(tensors), weight.tolist()
    before = weight.data
    if change == "storage":
        weight.data = torch.zeros(3, 3)
    elif change == "order":
        weight.data = weight.data.T
    else:
        tensors = {"weight": torch.nn.Parameter(torch.zeros(3, 3))}
        before.fill_(7.0)
    arena.copy_out(tensors, tensors, None, known)
    assert tensors["weight"].tolist() == wanted
    assert change != "tensor" or before.tolist() == [[7.0] * 3] * 3


def test_storage_whose_memory_is_another_one_now_is_not_written_where_it_was() -> None:
    """Sharing it between processes moves a tensor's memory, and leaves the tensor and its storage what they are."""
    tensors = {"a": torch.ones(3)}
    known, arena = known_and_taken(tensors)
    tensors["a"].share_memory_().fill_(5.0)
    arena.copy_out(tensors, tensors, None, known)
    assert tensors["a"].tolist() == [1.0] * 3


def test_an_arena_of_another_layout_is_not_copied_by_place() -> None:
    old = {"b": torch.ones(2), "c": torch.full((2,), 2.0)}
    _, arena = known_and_taken(old)
    live = {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(2)}
    arena.copy_out(["b", "c"], live, None, Bound.to(live))
    assert [tensor.tolist() for tensor in live.values()] == [[0.0] * 2, [1.0] * 2, [2.0] * 2]


def test_a_tensor_that_is_too_large_for_one_run_comes_back_in_parts() -> None:
    tensors = {"before": torch.ones(3), "large": torch.arange(RUN_BYTES, dtype=torch.float32), "after": torch.full((5,), 2.0)}
    wanted = {name: tensor.clone() for name, tensor in tensors.items()}
    known, arena = known_and_taken(tensors)
    for tensor in tensors.values():
        tensor.fill_(7.0)
    arena.copy_out(tensors, tensors, None, known)
    assert all(torch.equal(tensors[name], wanted[name]) for name in tensors)


def test_of_one_dtype_that_nobody_asks_for_nothing_is_copied() -> None:
    tensors = {"a": torch.ones(3), "step": torch.tensor(1)}
    _, arena = known_and_taken(tensors)
    tensors["a"].fill_(5.0)
    tensors["step"].fill_(5)
    arena.copy_out(["a"], tensors, None)
    assert (tensors["a"].tolist(), tensors["step"].item()) == ([1.0] * 3, 5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_rollback_of_a_host_that_has_not_changed_since_the_last_take_needs_no_torch_to_copy_its_weights(
    new_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    world = new_world(optimizer)
    world.taps = world.governor._taps = NO_TAPS
    for _ in range(9):
        world.live()
    snapshot = world.governor.snapshots.trusted()[0]
    monkeypatch.setattr(Arena, "_write_by_torch", never)
    roll_back(world.governor.snapshots, world.host, world.at, False, world.config, NO_TAPS)
    live = world.host.stable_tensors()
    assert all(torch.equal(live[name], tensor) for name, tensor in snapshot.tensors.items() if name.startswith("host/"))


def test_a_rollback_of_a_tensor_that_has_shrunk_in_place_is_refused_and_what_lay_behind_it_is_left_alone(
    new_world: Callable[..., Any],
) -> None:
    world = new_world("sgd")
    for _ in range(9):
        world.live()
    name, tensor = next((name, tensor) for name, tensor in world.host.stable_tensors().items() if tensor.dim() == 2)
    whole = tensor.data
    tensor.data = whole[:1]
    whole.fill_(5.0)
    with pytest.raises(RollbackFailed, match=rf"changed \['{name}'\]"):
        roll_back(world.governor.snapshots, world.host, world.at, False, world.config, NO_TAPS)
    assert (whole == 5.0).all()
