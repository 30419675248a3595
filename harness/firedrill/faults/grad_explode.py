"""All gradients are far too large at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene, Unfit
from firedrill.faults.target import Target, strike_elements
from tolaria.seams import GRADIENTS_READY

if TYPE_CHECKING:
    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class GradExplode(Fault):
    """Imitates an exploding gradient: a steep batch, a loss scale that was never divided out. The direction stays as it is.

    Clipping makes a harmless step of it, unless the norm overflows: beyond 1e19 the squares of float32 do.
    """

    factor: float = 1e6

    kind: ClassVar[str] = "grad.explode"
    phases: ClassVar[tuple[str, ...]] = (GRADIENTS_READY.name,)

    def __post_init__(self) -> None:
        if not 1.0 < self.factor < math.inf:
            raise Unfit("factor", f"a gradient that explodes grows by a finite factor above 1, not by {self.factor:g}")

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Multiply every gradient of the host and of its seeds."""
        strike_elements(value, replace(scene, target=Target(grads="*")), lambda elements: elements * self.factor)
        return value
