"""Running statistics of batch normalisations describe data that never was."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from firedrill.faults.fault import Fault, Scene, Unfit
from firedrill.faults.target import TENSOR_PHASES, Target, strike_elements
from tolaria.seams import GRADIENTS_READY

if TYPE_CHECKING:
    from tolaria.seams import Observed, Trainee


@dataclass(frozen=True, slots=True)
class BnPoison(Fault):
    """Imitates one batch of outliers, or statistics loaded from another checkpoint: `scale` times the running variance or mean.

    Training never looks at them, so the training loss says nothing. A negative variance is what a cancellation leaves behind.
    """

    statistic: Literal["running_var", "running_mean"] = "running_var"
    scale: float = 1e8

    kind: ClassVar[str] = "bn.poison"
    phases: ClassVar[tuple[str, ...]] = tuple(phase for phase in TENSOR_PHASES if phase != GRADIENTS_READY.name)

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale) or self.scale == 1.0:
            raise Unfit("scale", f"a scale of {self.scale:g} is no poison; tensor.set writes nan and inf")

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Multiply the statistic of every batch normalisation of the host and of its seeds."""
        everywhere = replace(scene, target=Target(buffers=f"*.{self.statistic}"))
        return strike_elements(value, everywhere, lambda elements: elements * self.scale)
