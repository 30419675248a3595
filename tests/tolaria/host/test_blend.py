import math

import pytest
import torch
from torch import nn

from tolaria.host.blend import BLENDS, Gated, blend
from tolaria.host.randomness import seeded
from tolaria.lifecycle.seed import Blend


def test_add_moves_by_alpha_times_the_residual() -> None:
    assert blend(torch.tensor([1.0, -2.0]), torch.tensor([4.0, 2.0]), 0.5, Blend.ADD).tolist() == [3.0, -1.0]


def test_multiply_scales_by_one_plus_alpha_tanh_of_the_residual() -> None:
    mixed = blend(torch.tensor([2.0, 2.0]), torch.tensor([0.0, 100.0]), 0.5, Blend.MULTIPLY)
    assert mixed.tolist() == [2.0, 3.0]
    assert blend(torch.tensor([1.0]), torch.tensor([1.0]), 1.0, Blend.MULTIPLY).item() == pytest.approx(1.0 + math.tanh(1.0))


@pytest.mark.parametrize("kind", Blend)
@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_a_residual_of_zero_changes_nothing(kind: Blend, alpha: float) -> None:
    h = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(blend(h, torch.zeros_like(h), alpha, kind), h)


def test_every_kind_has_a_formula() -> None:
    assert set(BLENDS) == set(Blend)


def test_a_gated_seed_goes_through_its_gate_before_it_is_added() -> None:
    seed = Gated(nn.Identity(), 2)
    with torch.no_grad():
        for parameter in seed.parameters():
            parameter.zero_()
        seed.gate[2].bias.fill_(math.log(3.0))
    h = torch.tensor([[4.0, -8.0]])
    # A gate at 3/4, at half strength.
    assert blend(h, seed(h), 0.5, Blend.GATE).tolist() == [[4.0 + 0.5 * 3.0, -8.0 - 0.5 * 6.0]]


@pytest.mark.parametrize(("shape", "gates"), [((2, 8), (2, 1)), ((2, 8, 3, 3), (2, 1, 1, 1)), ((2, 5, 8), (2, 5, 1))])
def test_a_gate_opens_for_each_sample_and_for_each_place_of_a_sequence(shape: tuple[int, ...], gates: tuple[int, ...]) -> None:
    with seeded(0):
        seed = Gated(nn.Identity(), 8)
    h = torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 0.5
    openness = seed(h).detach() / h
    assert openness.shape == shape
    for dimension, size in enumerate(gates):
        if size == 1:
            assert torch.allclose(openness, openness.narrow(dimension, 0, 1).expand_as(openness))
    assert float(openness.min()) > 0.0
    assert float(openness.max()) < 1.0
    assert not torch.allclose(openness[0], openness[1])


def test_a_gate_learns_as_soon_as_its_seed_does() -> None:
    with seeded(0):
        seed = Gated(nn.Linear(8, 8), 8)
    seed(torch.ones(2, 8)).sum().backward()
    assert all(parameter.grad is not None and float(parameter.grad.abs().max()) > 0.0 for parameter in seed.gate[2].parameters())
