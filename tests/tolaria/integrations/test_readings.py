"""A loss comes as the number it was, at once or one step late."""

import pytest
import torch

from tolaria.integrations.readings import AtOnce, OneStepLate, Reading

CPU = torch.device("cpu")


@pytest.mark.parametrize(("loss", "value"), [(0.1, 0.1), (torch.tensor(0.5, requires_grad=True), 0.5), (torch.tensor([1.0, 3.0]), 2.0)])
def test_at_once_gives_the_mean_of_this_loss(loss: torch.Tensor | float, value: float) -> None:
    assert AtOnce().read(loss) == value


@pytest.mark.parametrize("reading", [AtOnce(), OneStepLate(CPU)])
def test_a_single_nan_makes_the_mean_nan(reading: Reading) -> None:
    values = [reading.read(torch.tensor([1.0, float("nan")])) for _ in range(2)]
    assert values[-1] != values[-1]


def test_one_step_late_gives_the_loss_before() -> None:
    reading = OneStepLate(CPU)
    assert [reading.read(loss) for loss in (1.0, 2.0, 3.0, 4.0)] == [None, 1.0, 2.0, 3.0]
    assert (reading.rest(), reading.rest()) == (4.0, None)


def test_what_is_forgotten_is_never_given() -> None:
    reading = OneStepLate(CPU)
    reading.read(1.0)
    reading.forget()
    assert [reading.read(loss) for loss in (2.0, 3.0)] == [None, 2.0]
