"""A loss comes as the number it was, at once or one step late."""

import math

import pytest
import torch

from tolaria.integrations.readings import AtOnce, OneStepLate, Read, Reading

CPU = torch.device("cpu")


@pytest.mark.parametrize(("loss", "value"), [(0.1, 0.1), (torch.tensor(0.5, requires_grad=True), 0.5), (torch.tensor([1.0, 3.0]), 2.0)])
def test_at_once_gives_the_mean_of_this_loss(loss: torch.Tensor | float, value: float) -> None:
    assert AtOnce().read(loss) == Read(value, gated=False)


@pytest.mark.parametrize("reading", [AtOnce(), OneStepLate(CPU)])
def test_a_single_nan_makes_the_mean_nan(reading: Reading) -> None:
    reads = [reading.read(torch.tensor([1.0, float("nan")])) for _ in range(2)]
    assert reads[-1] is not None
    assert math.isnan(reads[-1].loss)


def test_one_step_late_gives_the_loss_before() -> None:
    reading = OneStepLate(CPU)
    assert [reading.read(loss) for loss in (1.0, 2.0, 3.0, 4.0)] == [None, *(Read(loss, gated=False) for loss in (1.0, 2.0, 3.0))]
    assert (reading.rest(), reading.rest()) == (Read(4.0, gated=False), None)


def test_what_is_forgotten_is_never_given() -> None:
    reading = OneStepLate(CPU)
    reading.read(1.0)
    reading.forget()
    assert [reading.read(loss) for loss in (2.0, 3.0)] == [None, Read(2.0, gated=False)]


@pytest.mark.parametrize("reading", [AtOnce(), OneStepLate(CPU)])
def test_a_flag_comes_with_the_loss_of_its_step(reading: Reading) -> None:
    reads = [reading.read(1.0, torch.tensor(flag)) for flag in (0.0, 1.0, 0.0)]
    reads = [*reads, reading.rest()]
    assert [read.gated for read in reads if read is not None] == [False, True, False]
