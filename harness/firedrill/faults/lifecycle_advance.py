"""A seed goes on to its next stage before its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import SLOT_PHASES, Fault, Scene, strike_slot

if TYPE_CHECKING:
    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class LifecycleAdvance(Fault):
    """Imitates a controller that hurries: a seed that has hardly trained is blended into the host, whatever the gates would say."""

    kind: ClassVar[str] = "lifecycle.advance"
    phases: ClassVar[tuple[str, ...]] = SLOT_PHASES
    targets: ClassVar[bool] = True

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Make the move by the table; an impossible one is no strike."""
        return strike_slot(value, scene, lambda slot: value.advance(slot, scene.at, reason="advanced by a fault", initiator="fault"))
