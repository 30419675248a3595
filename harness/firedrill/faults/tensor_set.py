"""Elements of a tensor become one given number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene
from firedrill.faults.target import TENSOR_PHASES, strike_elements

if TYPE_CHECKING:
    from tolaria.seams import Observed, Trainee


@dataclass(frozen=True, slots=True)
class TensorSet(Fault):
    """Imitates an overflow or a division by zero that reached weights, gradients, buffers or optimizer state (nan, inf),
    and a memory cell that lost its content (a plain number)."""

    value: float

    kind: ClassVar[str] = "tensor.set"
    phases: ClassVar[tuple[str, ...]] = TENSOR_PHASES
    targets: ClassVar[bool] = True

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Write the number into every element of the target."""
        return strike_elements(value, scene, lambda elements: elements.clone().fill_(self.value))
