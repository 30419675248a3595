"""A controller is shown numbers that are none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, digest
from tolaria.seams import VIEW_READY

if TYPE_CHECKING:
    from tolaria.policy.view import View


@dataclass(frozen=True, slots=True)
class ObservationNan(Fault):
    """Imitates a broken sensor: the loss that the controller is shown of the latest step is NaN, and the host itself is well."""

    kind: ClassVar[str] = "observation.nan"
    phases: ClassVar[tuple[str, ...]] = (VIEW_READY.name,)

    def strike(self, value: View, scene: Scene) -> View:
        """Another view; before the first step there is nothing to spoil."""
        if not value.recent:
            raise CouldNotStrike("nothing has been measured yet")
        *before, latest = value.recent
        scene.witness(Strike("view, val_loss", 1, digest(latest.val_loss), digest(math.nan), str(math.nan)))
        return replace(value, recent=(*before, replace(latest, val_loss=math.nan)))
