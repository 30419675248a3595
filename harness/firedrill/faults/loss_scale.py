"""The loss becomes a multiple of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from firedrill.faults.fault import Fault, Scene, Strike, Unfit, digest, tensors_digest
from tolaria.seams import LOSS_READY, VITALS_MEASURED
from tolaria.vitals import Vitals

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class LossScale(Fault):
    """Imitates a loss scaled twice or never unscaled, as a broken mixed-precision step does: its gradients grow with it.

    At vitals_measured only the number `field` changes that the governor sees.
    """

    factor: float
    field: Literal["val_loss", "train_loss"] = "val_loss"

    kind: ClassVar[str] = "loss.scale"
    phases: ClassVar[tuple[str, ...]] = (LOSS_READY.name, VITALS_MEASURED.name)

    def __post_init__(self) -> None:
        if not math.isfinite(self.factor) or self.factor == 1.0:
            raise Unfit("factor", f"a factor of {self.factor:g} is no scaling; loss.set writes nan and inf")

    def strike(self, value: torch.Tensor | Vitals, scene: Scene) -> torch.Tensor | Vitals:
        """The loss or the measured number, multiplied."""
        if isinstance(value, Vitals):
            was: float = getattr(value, self.field)
            now = was * self.factor
            scene.witness(Strike(f"vitals.{self.field}", 1, digest(was), digest(now), str(now)))
            return replace(value, val_loss=now) if self.field == "val_loss" else replace(value, train_loss=now)
        wrong = value * self.factor
        scene.witness(Strike("loss", 1, tensors_digest([value]), tensors_digest([wrong]), str(wrong.item())))
        return wrong
