import math

import pytest
import torch

from tolaria.governor.arena import Arena, Bound
from tolaria.governor.pages import ALIGNMENT
from tolaria.governor.segments import RUN_BYTES

# Three times and a bit what one run holds.
LARGE = 3 * RUN_BYTES // 4 + 5
MIXED = {
    "after": torch.ones(3),
    "before": torch.ones(9),
    "large": torch.ones(LARGE),
    "half": torch.ones(2 * RUN_BYTES, dtype=torch.bfloat16),
    "count": torch.ones(4, dtype=torch.int64),
    "empty": torch.ones(0, 2),
}


def arena_of(tensors: dict[str, torch.Tensor]) -> tuple[Bound, Arena]:
    bound = Bound.to(tensors)
    return bound, Arena.allocate(bound.layout, bound.device)


def test_runs_hold_every_byte_once_and_all_fit_into_the_cache_of_a_core() -> None:
    _, arena = arena_of(MIXED)
    held: dict[str, int] = dict.fromkeys(MIXED, 0)
    names = list(arena.layout)
    for run in arena.runs:
        for place, raw in zip(run.places, run.targets, strict=True):
            held[names[place]] += len(raw)
        for place, raw, part in run.parts:
            assert part.start == held[names[place]]
            assert len(raw) == part.stop - part.start
            held[names[place]] += len(raw)
        assert run.piece.nbytes <= 1.5 * RUN_BYTES
        assert run.piece.data_ptr() % ALIGNMENT == 0
        run.piece.fill_(1)
    assert held == {name: tensor.nbytes for name, tensor in MIXED.items()}
    assert all(bool((view == 1).all()) for view in arena.views.values())


def test_what_is_copied_in_parts_is_what_is_copied_whole() -> None:
    tensors = {"before": torch.randn(9), "large": torch.randn(LARGE), "behind": torch.randn(5)}
    bound, arena = arena_of(tensors)
    assert arena.copy_in_checked(bound) == ()
    assert all(torch.equal(arena.views[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, RUN_BYTES // 4 - 1, RUN_BYTES // 4, RUN_BYTES // 4 + 63, RUN_BYTES // 2, LARGE - 6, LARGE - 1])
def test_wherever_a_large_tensor_is_not_finite_it_is_named(place: int, value: float) -> None:
    tensors = {"a": torch.ones(9), "large": torch.ones(LARGE), "z": torch.ones(5)}
    tensors["large"][place] = value
    bound, arena = arena_of(tensors)
    assert arena.copy_in_checked(bound) == ("large",)


def test_the_first_part_is_checked_together_with_what_lies_before_it() -> None:
    tensors = {"a": torch.ones(9), "large": torch.ones(LARGE)}
    tensors["a"][-1] = math.nan
    bound, arena = arena_of(tensors)
    assert arena.copy_in_checked(bound) == ("a",)


def test_a_large_tensor_in_another_order_is_copied_by_torch_and_by_no_part() -> None:
    turned = torch.arange(float(RUN_BYTES)).view(2, -1).T
    bound, arena = arena_of({"a": torch.ones(3), "turned": turned})
    assert arena.copy_in_checked(bound) == ()
    assert torch.equal(arena.views["turned"], turned)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_a_sum_is_of_this_copy_and_not_of_the_one_before(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    live = {"a": torch.ones(9, dtype=dtype), "b": torch.ones(2, 2, dtype=dtype)}
    bound, arena = arena_of(live)
    asked: list[int] = []
    slowly = Arena.nonfinite

    def noted(self: Arena) -> tuple[str, ...]:
        asked.append(1)
        return slowly(self)

    monkeypatch.setattr(Arena, "nonfinite", noted)
    assert arena.copy_in_checked(bound) == ()
    assert not asked
    live["b"][1, 1] = math.nan
    assert arena.copy_in_checked(bound) == ("b",)
    live["b"][1, 1] = -3.0
    assert arena.copy_in_checked(bound) == ()
    assert len(asked) == 1
