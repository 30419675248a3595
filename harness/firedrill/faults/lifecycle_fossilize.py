"""A seed is committed at a moment that nobody chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import SLOT_PHASES, Fault, Scene, strike_slot

if TYPE_CHECKING:
    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class LifecycleFossilize(Fault):
    """Imitates a controller that commits a seed at the worst moment, such as between a snapshot and a collapse."""

    kind: ClassVar[str] = "lifecycle.fossilize"
    phases: ClassVar[tuple[str, ...]] = SLOT_PHASES
    targets: ClassVar[bool] = True

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Make the move by the table; an impossible one is no strike."""
        return strike_slot(value, scene, lambda slot: value.fossilize(slot, scene.at, reason="committed by a fault", initiator="fault"))
