"""A seed is committed at a moment that nobody chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene, strike_slot
from tolaria.seams import ACTION_APPLIED, STEP_BEGUN, STEP_FINISHED, WEIGHTS_UPDATED

if TYPE_CHECKING:
    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class LifecycleFossilize(Fault):
    """Imitates a controller that commits a seed at the worst moment, such as between a snapshot and a collapse."""

    kind: ClassVar[str] = "lifecycle.fossilize"
    phases: ClassVar[tuple[str, ...]] = tuple(seam.name for seam in (ACTION_APPLIED, STEP_BEGUN, WEIGHTS_UPDATED, STEP_FINISHED))
    targets: ClassVar[bool] = True

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Make the move by the table; an impossible one is no strike."""
        return strike_slot(value, scene, lambda slot: value.fossilize(slot, scene.at, reason="committed by a fault", initiator="fault"))
