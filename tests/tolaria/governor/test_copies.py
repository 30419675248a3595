from collections.abc import Callable

import pytest
import torch

from tolaria.governor.copies import copy_alone, copy_fused, is_lazy

Make = Callable[[], torch.Tensor]


def from_inference() -> torch.Tensor:
    with torch.inference_mode():
        return torch.zeros(2, 2)


KINDS: list[Make] = [
    lambda: torch.zeros(2, 2),
    lambda: torch.zeros(2).expand(2, 2),
    lambda: torch.zeros(2, 1).expand(2, 2),
    lambda: torch.nn.Parameter(torch.zeros(2, 2)).data,
    lambda: torch.zeros(2, 2, dtype=torch.complex64).conj(),
    lambda: torch.zeros(2, 2, dtype=torch.complex64).conj().imag,
    from_inference,
]


@pytest.mark.parametrize("make", KINDS)
def test_any_kind_is_written_alone_and_read(make: Make) -> None:
    target, source = make(), torch.ones(2, 2)
    copy_alone(target, source)
    assert (target == 1.0).all()
    copied = torch.zeros(2, 2, dtype=target.dtype)
    copy_alone(copied, target)
    assert torch.equal(copied, target)


def test_a_fused_copy_takes_all_kinds_together() -> None:
    targets = [make() for make in KINDS]
    with torch.no_grad():
        copy_fused(targets, [torch.ones(2, 2, dtype=target.dtype) for target in targets])
    assert all((target.resolve_conj() == 1.0).all() for target in targets)


def test_what_asks_for_a_gradient_is_written_alone_without_one() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    copy_alone(weight, torch.ones(2))
    assert (weight.tolist(), weight.grad_fn) == ([1.0, 1.0], None)


def test_conjugates_and_negatives_are_lazy() -> None:
    number = torch.ones(1, dtype=torch.complex64)
    assert [is_lazy(kind) for kind in (number, number.conj(), number.conj().imag, number.conj().resolve_conj())] == [
        False,
        True,
        True,
        False,
    ]
