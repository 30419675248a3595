"""A seed is committed at a moment that nobody chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, digest
from tolaria.lifecycle.stage import IllegalMove
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
        slot = scene.target.slot if scene.target else None
        if slot is None or slot not in value.host.slot_states():
            raise CouldNotStrike(f"the host has no slot {slot!r}")
        before = value.host.slot_states()[slot]
        try:
            value.fossilize(slot, scene.at, reason="committed by a fault", initiator="fault")
        except IllegalMove as impossible:
            raise CouldNotStrike(f"slot {slot}: {impossible}") from impossible
        after = value.host.slot_states()[slot]
        scene.witness(Strike(f"slots.{slot}", 1, digest(repr(before)), digest(repr(after)), after.stage.value))
        return value
