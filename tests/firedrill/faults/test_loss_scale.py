import pytest
import torch

from firedrill.faults.fault import Scene, Unfit
from firedrill.faults.loss_scale import LossScale
from tolaria.seeding import stream
from tolaria.telemetry.event import Point
from tolaria.vitals import Vitals

SCENE = Scene(Point(1, 0, 0), stream(1), None, lambda _strike: None)


def test_the_gradients_grow_with_the_loss() -> None:
    weight = torch.tensor(3.0, requires_grad=True)
    LossScale(10.0).strike(weight * weight, SCENE).backward()
    assert weight.grad is not None
    assert weight.grad.item() == 60.0


def test_only_the_named_vital_changes() -> None:
    assert LossScale(2.0).strike(Vitals(1, 0.5, 0.6, 0.9, 1.0), SCENE) == Vitals(1, 0.5, 1.2, 0.9, 1.0)


@pytest.mark.parametrize("factor", [1.0, float("nan"), float("inf")])
def test_a_factor_that_scales_nothing_is_refused(factor: float) -> None:
    with pytest.raises(Unfit):
        LossScale(factor)
