import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firedrill.faults.fault import CouldNotStrike, Unfit
from firedrill.faults.tensor_flip_bit import TensorFlipBit

# Of each type its bits, how `struct` writes a number of it and the whole number of the same size, and how far to the left it is put.
FORMATS = {
    torch.float16: (16, "<e", "<H", 0),
    torch.float32: (32, "<f", "<I", 0),
    torch.float64: (64, "<d", "<Q", 0),
    # The upper half of a float32.
    torch.bfloat16: (16, "<f", "<I", 16),
}


def flipped(bit: int, value: float) -> float:
    return float(TensorFlipBit(bit)._flipped(torch.tensor([value])).item())


def pattern(number: float, dtype: torch.dtype) -> int:
    """The bits of a number, as a whole number."""
    _, real, whole, shift = FORMATS[dtype]
    bits: int = struct.unpack(whole, struct.pack(real, number))[0]
    return bits >> shift


def number_of(bits: int, dtype: torch.dtype) -> float:
    """The number of a pattern."""
    _, real, whole, shift = FORMATS[dtype]
    number: float = struct.unpack(real, struct.pack(whole, bits << shift))[0]
    return number


@given(dtype=st.sampled_from(list(FORMATS)), data=st.data())
def test_exactly_this_bit_turns_whatever_the_number_is(dtype: torch.dtype, data: st.DataObject) -> None:
    width = FORMATS[dtype][0]
    bits, bit = data.draw(st.integers(0, 2**width - 1)), data.draw(st.integers(0, width - 1))
    before = number_of(bits, dtype)
    if math.isnan(before):
        # How a NaN is written down on its way is up to the processor.
        return
    # Every number of a narrower type is one of the widest.
    struck = TensorFlipBit(bit)._flipped(torch.tensor([before], dtype=torch.float64).to(dtype))
    assert struck.dtype is dtype
    after = float(struck.double().item())
    expected = number_of(bits ^ (1 << bit), dtype)
    assert (math.isnan(after) and math.isnan(expected)) or pattern(after, dtype) == bits ^ (1 << bit)


@given(dtype=st.sampled_from(list(FORMATS)), value=st.floats(-1e3, 1e3, width=16), data=st.data())
def test_the_same_bit_twice_is_nothing(dtype: torch.dtype, value: float, data: st.DataObject) -> None:
    fault = TensorFlipBit(data.draw(st.integers(0, FORMATS[dtype][0] - 1)))
    number = torch.tensor([value], dtype=dtype)
    again = fault._flipped(fault._flipped(number))
    assert torch.equal(again.view(torch.uint8), number.view(torch.uint8))


def test_the_highest_bit_of_the_exponent_makes_a_small_number_enormous() -> None:
    assert flipped(30, 0.5) == 0.5 * 2.0**128
    assert math.isinf(flipped(30, 1.0))


def test_the_sign_bit_changes_the_sign_and_the_lowest_hardly_anything() -> None:
    assert flipped(31, 0.5) == -0.5
    assert flipped(0, 1.0) == 1.0 + 2.0**-23


@pytest.mark.parametrize("bit", [-1, 64])
def test_a_bit_that_no_number_has_is_refused(bit: int) -> None:
    with pytest.raises(Unfit):
        TensorFlipBit(bit)


@pytest.mark.parametrize(("dtype", "bit"), [(torch.float32, 32), (torch.float16, 16), (torch.bfloat16, 31)])
def test_a_bit_that_this_number_lacks_is_no_strike(dtype: torch.dtype, bit: int) -> None:
    with pytest.raises(CouldNotStrike):
        TensorFlipBit(bit)._flipped(torch.zeros(1, dtype=dtype))
