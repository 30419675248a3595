"""One bit of an element changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Unfit
from firedrill.faults.target import TENSOR_PHASES, strike_elements

if TYPE_CHECKING:
    import torch

    from tolaria.seams import Observed, Trainee

BITS = 32


@dataclass(frozen=True, slots=True)
class TensorFlipBit(Fault):
    """Imitates a cosmic ray or a worn memory cell: one bit of a float32 turns. Bit 31 is the sign, 30 the highest of the exponent.

    Flipping bit 30 of a number below 2 multiplies it by 2 to the 128th, flipping one of the mantissa hardly matters.
    """

    bit: int = 30

    kind: ClassVar[str] = "tensor.flip_bit"
    phases: ClassVar[tuple[str, ...]] = TENSOR_PHASES
    targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.bit < BITS:
            raise Unfit("bit", f"a float32 has the bits 0 to {BITS - 1}, so {self.bit} is none")

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Flip the bit in every element of the target."""
        return strike_elements(value, scene, self._flipped)

    def _flipped(self, elements: torch.Tensor) -> torch.Tensor:
        if str(elements.dtype) != "torch.float32":
            raise CouldNotStrike(f"bits are those of float32, and this is {elements.dtype}")
        # The sign bit is the lowest number of a signed integer.
        mask = -(2**31) if self.bit == BITS - 1 else 2**self.bit
        # By way of numpy, because this file is read where no torch is loaded.
        bits = elements.detach().cpu().numpy().copy().view("int32")
        bits ^= mask
        return elements.new_tensor(bits.view("float32"))
