"""Elements of a tensor are lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene
from firedrill.faults.target import TENSOR_PHASES, strike_elements

if TYPE_CHECKING:
    from tolaria.seams import Observed, Trainee


@dataclass(frozen=True, slots=True)
class TensorZero(Fault):
    """Imitates memory that came back empty: a buffer that was freed and cleared, or a transfer that never arrived.

    What is zero already cannot be lost.
    """

    kind: ClassVar[str] = "tensor.zero"
    phases: ClassVar[tuple[str, ...]] = TENSOR_PHASES
    targets: ClassVar[bool] = True

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Write zeros into every element of the target."""
        return strike_elements(value, scene, lambda elements: elements.new_zeros(elements.shape))
