"""A seed appears that nobody asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import SLOT_PHASES, Fault, Scene, strike_slot
from tolaria.lifecycle.action import Action, Op

if TYPE_CHECKING:
    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class LifecycleGerminate(Fault):
    """Imitates a controller, or a second one, that germinates a seed at the worst moment, such as between a snapshot and a collapse."""

    blueprint: str

    kind: ClassVar[str] = "lifecycle.germinate"
    phases: ClassVar[tuple[str, ...]] = SLOT_PHASES
    targets: ClassVar[bool] = True

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Make the move by the table; an impossible one is no strike."""

        def germinate(slot: str) -> None:
            action = Action(Op.GERMINATE, slot=slot, blueprint=self.blueprint)
            value.germinate(action, scene.at, reason="germinated by a fault", initiator="fault")

        return strike_slot(value, scene, germinate)
