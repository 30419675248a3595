"""Elements of a tensor move by random amounts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene, Unfit
from firedrill.faults.target import TENSOR_PHASES, strike_elements

if TYPE_CHECKING:
    import torch

    from tolaria.seams import Observed, Trainee


@dataclass(frozen=True, slots=True)
class TensorNoise(Fault):
    """Imitates a lossy transfer, a quantised copy or a flaky kernel: every element is off by a normal draw of this spread."""

    spread: float

    kind: ClassVar[str] = "tensor.noise"
    phases: ClassVar[tuple[str, ...]] = TENSOR_PHASES
    targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.spread < math.inf:
            raise Unfit("spread", f"noise spreads by more than 0 and less than inf, not by {self.spread:g}")

    def strike(self, value: Trainee | Observed, scene: Scene) -> Trainee | Observed:
        """Add a draw of the fault's own stream to every element of the target."""

        def noisy(elements: torch.Tensor) -> torch.Tensor:
            return elements + elements.new_tensor(scene.rng.normal(0.0, self.spread, len(elements)))

        return strike_elements(value, scene, noisy)
