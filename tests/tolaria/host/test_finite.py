import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tolaria.host.finite import SMALL, all_finite, held

LARGE = SMALL + 1


@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_all_finite_is_what_it_says(numbers: list[float]) -> None:
    tensors = [torch.tensor([1.0, number]) for number in numbers]
    assert all_finite([*tensors, torch.tensor([1, 2]), torch.empty(0)]) == all(map(math.isfinite, numbers))


def test_nothing_is_finite() -> None:
    assert all_finite([])


def test_numbers_whose_sum_overflows_are_finite_all_the_same() -> None:
    assert all_finite([torch.full((4,), 3e38), torch.tensor([60000.0, 60000.0], dtype=torch.float16), torch.full((LARGE,), 3e38)])


def test_infinities_do_not_cancel_out() -> None:
    assert not all_finite([torch.tensor([float("inf"), 1.0]), torch.tensor([-float("inf")])])


@pytest.mark.parametrize("elements", [1, SMALL, LARGE])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_one_bad_element_is_found_wherever_it_is(dtype: torch.dtype, elements: int) -> None:
    bad = torch.zeros(elements, dtype=dtype)
    others = [torch.ones(3), torch.ones(LARGE), torch.ones(3, dtype=torch.float64), torch.ones(2, 2).t()]
    assert all_finite([*others, bad])
    bad[-1] = math.nan
    assert not all_finite([*others, bad])


def test_a_module_holds_what_it_and_all_below_it_own_and_nothing_for_what_is_absent() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 3, bias=False), torch.nn.Sequential(torch.nn.BatchNorm1d(3)))
    module.register_buffer("passing", torch.zeros(1), persistent=False)
    module.register_buffer("absent", None)
    parameters, buffers = held(module)
    assert {id(tensor) for tensor in parameters} == {id(tensor) for tensor in module.parameters()}
    assert {id(tensor) for tensor in buffers} == {id(tensor) for tensor in module.buffers()}
    assert (len(parameters), len(buffers)) == (3, 4)


def test_what_learns_is_looked_at_without_a_graph() -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0, math.inf]))
    assert not all_finite([parameter, torch.ones(LARGE)])
