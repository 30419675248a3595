"""The loss becomes a given number."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from firedrill.faults.fault import Fault, Scene, Strike, digest, tensors_digest
from tolaria.seams import LOSS_READY, VITALS_MEASURED
from tolaria.vitals import Vitals

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class LossSet(Fault):
    """Imitates a loss that overflowed, or a measurement that came back wrong.

    At loss_ready it is the training loss before backward: a finite value leaves the gradients as they were, nan and inf
    poison them as a truly broken loss would. At vitals_measured only the number `field` changes that the governor sees.
    """

    value: float
    field: Literal["val_loss", "train_loss"] = "val_loss"

    kind: ClassVar[str] = "loss.set"
    phases: ClassVar[tuple[str, ...]] = (LOSS_READY.name, VITALS_MEASURED.name)

    def strike(self, value: torch.Tensor | Vitals, scene: Scene) -> torch.Tensor | Vitals:
        """The loss with the given value, still attached to its graph, or the vitals with the given number."""
        if isinstance(value, Vitals):
            was: float = getattr(value, self.field)
            scene.witness(Strike(f"vitals.{self.field}", 1, digest(was), digest(self.value), str(self.value)))
            return replace(value, val_loss=self.value) if self.field == "val_loss" else replace(value, train_loss=self.value)
        # Zero in value, but not in its gradient.
        slope = value - value.detach()
        wrong = slope + self.value if math.isfinite(self.value) else (slope + 1.0) * self.value
        scene.witness(Strike("loss", 1, tensors_digest([value]), tensors_digest([wrong]), str(wrong.item())))
        return wrong
