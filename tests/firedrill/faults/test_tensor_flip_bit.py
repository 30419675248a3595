import math

import pytest
import torch

from firedrill.faults.fault import CouldNotStrike, Unfit
from firedrill.faults.tensor_flip_bit import TensorFlipBit


def flipped(bit: int, value: float) -> float:
    return float(TensorFlipBit(bit)._flipped(torch.tensor([value])).item())


def test_the_highest_bit_of_the_exponent_makes_a_small_number_enormous() -> None:
    assert flipped(30, 0.5) == 0.5 * 2.0**128
    assert math.isinf(flipped(30, 1.0))


def test_the_sign_bit_changes_the_sign_and_the_lowest_hardly_anything() -> None:
    assert flipped(31, 0.5) == -0.5
    assert flipped(0, 1.0) == 1.0 + 2.0**-23


@pytest.mark.parametrize("bit", [-1, 32])
def test_a_bit_that_no_number_has_is_refused(bit: int) -> None:
    with pytest.raises(Unfit):
        TensorFlipBit(bit)


def test_other_numbers_than_float32_are_not_struck() -> None:
    with pytest.raises(CouldNotStrike):
        TensorFlipBit(30)._flipped(torch.zeros(1, dtype=torch.float64))
