"""A seed is removed by somebody who is neither the controller nor the governor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import SLOT_PHASES, Fault, Scene, strike_slot

if TYPE_CHECKING:
    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class LifecyclePrune(Fault):
    """Imitates an operator or a cleanup job that removes a growing seed behind the controller's back."""

    kind: ClassVar[str] = "lifecycle.prune"
    phases: ClassVar[tuple[str, ...]] = SLOT_PHASES
    targets: ClassVar[bool] = True

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Make the move by the table; an impossible one is no strike."""
        return strike_slot(value, scene, lambda slot: value.prune(slot, scene.at, reason="removed by a fault", initiator="fault"))
