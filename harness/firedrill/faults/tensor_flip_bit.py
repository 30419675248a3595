"""One bit of an element changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Unfit
from firedrill.faults.target import TENSOR_PHASES, strike_elements

if TYPE_CHECKING:
    import torch

    from tolaria.seams import Observed, Trainee

# Of the widest number there is.
BITS_MAX = 64


@dataclass(frozen=True, slots=True)
class TensorFlipBit(Fault):
    """Imitates a cosmic ray or a worn memory cell: one bit of a number turns, as IEEE 754 writes it. Bit 0 is the lowest of the mantissa.

    The sign is bit 31 of a float32 and bit 15 of a float16 or bfloat16, and the exponent lies right below. Flipping bit 30 of a
    float32 below 2 multiplies it by 2 to the 128th, flipping one of the mantissa hardly matters.
    """

    bit: int = 30

    kind: ClassVar[str] = "tensor.flip_bit"
    phases: ClassVar[tuple[str, ...]] = TENSOR_PHASES
    targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.bit < BITS_MAX:
            raise Unfit("bit", f"no number has more than {BITS_MAX} bits, and they begin with 0, so {self.bit} is none")

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Flip the bit in every element of the target."""
        return strike_elements(value, scene, self._flipped)

    def _flipped(self, elements: torch.Tensor) -> torch.Tensor:
        width = 8 * elements.element_size()
        if self.bit >= width:
            raise CouldNotStrike(f"a number of {elements.dtype} has the bits 0 to {width - 1}, and {self.bit} is none")
        nothing = elements.new_empty(0)
        whole = {16: nothing.short, 32: nothing.int, 64: nothing.long}[width]().dtype
        # The sign bit is the lowest number of a signed integer.
        mask = -(2**self.bit) if self.bit == width - 1 else 2**self.bit
        bits: torch.Tensor = elements.detach().contiguous().view(whole) ^ mask
        return bits.view(elements.dtype)
