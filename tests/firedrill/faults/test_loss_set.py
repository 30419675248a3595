import math

import pytest
import torch

from firedrill.faults.fault import Scene
from firedrill.faults.loss_set import LossSet
from tolaria.seeding import stream
from tolaria.telemetry.event import Point
from tolaria.vitals import Vitals

SCENE = Scene(Point(1, 0, 0), stream(1), None, lambda _strike: None)


def test_a_finite_loss_leaves_the_gradients_as_they_were() -> None:
    weight = torch.tensor(3.0, requires_grad=True)
    wrong = LossSet(100.0).strike(weight * weight, SCENE)
    wrong.backward()
    assert wrong.item() == 100.0
    assert weight.grad is not None
    assert weight.grad.item() == 6.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_poisons_the_gradients(value: float) -> None:
    weight = torch.tensor(3.0, requires_grad=True)
    wrong = LossSet(value).strike(weight * weight, SCENE)
    wrong.backward()
    assert str(wrong.item()) == str(value)
    assert weight.grad is not None
    assert not math.isfinite(weight.grad.item())


def test_an_infinite_value_replaces_a_loss_of_zero_too() -> None:
    loss = torch.tensor(0.0, requires_grad=True)
    assert LossSet(math.inf).strike(loss * 1.0, SCENE).item() == math.inf


def test_only_the_named_vital_changes() -> None:
    wrong = LossSet(9.0, field="train_loss").strike(Vitals(1, 0.5, 0.6, 0.9, 1.0), SCENE)
    assert wrong == Vitals(1, 9.0, 0.6, 0.9, 1.0)
