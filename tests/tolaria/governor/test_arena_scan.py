"""The scan: whether live tensors are still those that were bound."""

from collections.abc import Callable

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from tolaria.governor.arena import CPU, Arena, Bound, LayoutChanged


def test_a_module_that_was_deleted_is_noticed_although_no_hook_fires() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    bound = Bound.to(dict(module.named_parameters()))
    del module[1]
    assert set(bound.renewed(dict(module.named_parameters())).layout) == {"0.weight", "0.bias"}


def test_while_nothing_changes_the_lists_are_kept() -> None:
    tensors = {"weight": torch.nn.Parameter(torch.randn(5, 7)), "turned": torch.ones(2, 3).T, "empty": torch.zeros(0, 3)}
    bound = Bound.to(tensors)
    with torch.no_grad():
        tensors["weight"].add_(1.0)
    assert bound.renewed(dict(tensors)) is bound


def test_storage_that_was_replaced_is_bound_again_and_its_values_are_taken() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    bound = Bound.to({"weight": weight})
    weight.data = weight.data + 1.0
    again = bound.renewed({"weight": weight})
    assert again is not bound
    arena = Arena.allocate(again.layout, CPU)
    arena.copy_in(again, None)
    assert arena.views["weight"].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("change", [lambda d: d.double(), lambda d: d[:1], lambda d: d.view(3, 2), lambda d: d.T.contiguous()])
def test_another_shape_or_dtype_in_the_same_parameter_raises(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    weight = torch.nn.Parameter(torch.ones(2, 3))
    bound = Bound.to({"weight": weight})
    weight.data = change(weight.data)
    with pytest.raises(LayoutChanged, match="weight"):
        bound.renewed({"weight": weight})


@pytest.mark.parametrize("kind", ["in order", "transposed"])
def test_elements_in_another_order_at_the_same_place_are_seen(kind: str) -> None:
    """A square matrix that is transposed in place keeps its address and its shape."""
    weight = torch.nn.Parameter(torch.arange(9.0).view(3, 3).contiguous() if kind == "in order" else torch.arange(9.0).view(3, 3).T)
    bound = Bound.to({"weight": weight})
    weight.data = weight.data.T
    again = bound.renewed({"weight": weight})
    arena = Arena.allocate(again.layout, CPU)
    arena.copy_in(again, None)
    assert again is not bound
    assert arena.views["weight"].tolist() == weight.tolist()


def test_another_object_around_the_same_storage_is_bound_anew() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    wrapped = torch.nn.Parameter(weight.data)
    assert Bound.to({"weight": weight}).renewed({"weight": wrapped}).live[0] is wrapped


def test_names_that_changed_places_are_bound_again() -> None:
    one, other = torch.zeros(2), torch.ones(2)
    bound = Bound.to({"one": one, "other": other}).renewed({"one": other, "other": one})
    arena = Arena.allocate(bound.layout, CPU)
    arena.copy_in(bound, None)
    assert (arena.views["one"].tolist(), arena.views["other"].tolist()) == ([1.0, 1.0], [0.0, 0.0])
    assert Bound.to({"one": one, "other": other}).renewed({"other": one, "one": other}).names == ["other", "one"]


def test_another_tensor_of_the_same_name_is_growth_and_no_mistake() -> None:
    bound = Bound.to({"weight": torch.ones(2)})
    assert bound.renewed({"weight": torch.ones(3)}).layout == {"weight": ((3,), torch.float32)}


def test_storage_that_was_replaced_is_held_until_the_next_scan_because_its_bytes_are_known_by_address() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    bound = Bound.to({"weight": weight})
    storage = StorageWeakRef(weight.untyped_storage())
    weight.data = torch.zeros(3)
    assert not storage.expired()
    assert bound.renewed({"weight": weight}) is not bound
    del bound
    assert storage.expired()
