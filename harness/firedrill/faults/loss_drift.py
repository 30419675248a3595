"""The measured loss grows from step to step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, Unfit, digest
from tolaria.seams import VITALS_MEASURED

if TYPE_CHECKING:
    from tolaria.vitals import Vitals


@dataclass(frozen=True, slots=True)
class LossDrift(Fault):
    """Imitates a slow divergence, such as a learning rate a little too high: the loss is `rate` times worse with every step.

    Step `since` is the first that is worse. Only the number that the governor sees changes.
    """

    rate: float
    since: int

    kind: ClassVar[str] = "loss.drift"
    phases: ClassVar[tuple[str, ...]] = (VITALS_MEASURED.name,)

    def __post_init__(self) -> None:
        if not 1.0 < self.rate < math.inf:
            raise Unfit("rate", f"a loss that grows is multiplied by more than 1, not by {self.rate:g}")

    def strike(self, value: Vitals, scene: Scene) -> Vitals:
        """The validation loss as it would be after so many steps of growth."""
        steps = scene.at.step - self.since + 1
        if steps < 1:
            raise CouldNotStrike(f"step {scene.at.step} comes before step {self.since}")
        drifted = value.val_loss * self.rate**steps
        scene.witness(Strike("vitals.val_loss", 1, digest(value.val_loss), digest(drifted), str(drifted)))
        return replace(value, val_loss=drifted)
