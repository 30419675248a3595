import math

import pytest
import torch

from tolaria.host.blend import BLENDS, blend
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
