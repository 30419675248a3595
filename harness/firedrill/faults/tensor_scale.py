"""Elements of a tensor become a multiple of themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene, Unfit
from firedrill.faults.target import TENSOR_PHASES, strike_elements

if TYPE_CHECKING:
    from tolaria.seams import Observed, Trainee


@dataclass(frozen=True, slots=True)
class TensorScale(Fault):
    """Imitates an exploding update: a learning rate or a gradient that was orders of magnitude too large, all still finite."""

    factor: float

    kind: ClassVar[str] = "tensor.scale"
    phases: ClassVar[tuple[str, ...]] = TENSOR_PHASES
    targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.factor) or self.factor == 1.0:
            raise Unfit("factor", f"a factor of {self.factor:g} is no scaling; tensor.set writes nan and inf")

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Multiply every element of the target."""
        return strike_elements(value, scene, lambda elements: elements * self.factor)
