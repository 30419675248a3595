"""A gradient scaler loses its scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, digest
from tolaria.seams import STEP_BEGUN, STEP_FINISHED, WEIGHTS_UPDATED

if TYPE_CHECKING:
    from firedrill.subjects.loop import Learner


@dataclass(frozen=True, slots=True)
class AmpScale(Fault):
    """Imitates a loss scale that was driven away: by a burst of overflows down to nothing, or by a checkpoint of another run.

    A scale of 0 makes gradients of 0, which pass the scaler's check and are NaN once they are unscaled. With a scale of NaN it
    leaves out every step there is, and the scale never comes back by itself; one that is too large is halved with every such step.
    """

    value: float

    kind: ClassVar[str] = "amp.scale"
    phases: ClassVar[tuple[str, ...]] = (STEP_BEGUN.name, WEIGHTS_UPDATED.name, STEP_FINISHED.name)
    loops_only: ClassVar[bool] = True

    def strike(self, value: Learner, scene: Scene) -> Learner:
        """Write the scale, the way a checkpoint does."""
        scaler = value.scaler
        if scaler is None or not scaler.is_enabled():
            raise CouldNotStrike("the loop has no scaler")
        before = float(scaler.get_scale())
        scaler.load_state_dict(scaler.state_dict() | {"scale": self.value})
        after = float(scaler.get_scale())
        scene.witness(Strike("scale of the scaler", 1, digest(before), digest(after), str(after)))
        return value
