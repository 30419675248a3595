"""What is known of a slot and the seed in it: a frozen record, changed only by making the next one."""

from dataclasses import dataclass, replace
from enum import StrEnum

from tolaria.lifecycle.alpha import Curve, Ramp
from tolaria.lifecycle.stage import OCCUPIED, RESTING, Move, Stage, next_stage

# Steps a slot spends EMBARGOED after a prune; PRUNED and RESETTING take one each.
EMBARGO_STEPS = 5


class Blend(StrEnum):
    """How the seed's residual r is mixed with the host's features h: h + alpha r, h (1 + alpha tanh r), or h + alpha g(h) r.

    The gate g is a small network of the seed's own, which decides for each sample how much of the seed it gets.
    """

    ADD = "add"
    MULTIPLY = "multiply"
    GATE = "gate"


@dataclass(frozen=True, slots=True)
class SlotState:
    """One slot: its stage, what grows in it, and the counters that only this record owns.

    `generation` counts the germinations of the slot, so that a new seed never inherits an old seed's name.
    `contribution` is accuracy with the seed minus accuracy without it, in [-1, 1], `contribution_error` the standard error of
    that difference over the samples it was measured on; both are None until they are measured.
    `magnitude` is the norm of the seed's residual over the norm of the host's features; None until it is measured.
    """

    slot: str
    stage: Stage = Stage.DORMANT
    blueprint: str | None = None
    blend: Blend = Blend.ADD
    generation: int = 0
    ramp: Ramp = Ramp()
    blend_target: float = 1.0
    blend_steps: int = 5
    blend_curve: Curve = Curve.LINEAR
    age: int = 0
    steps_in_stage: int = 0
    contribution: float | None = None
    contribution_error: float | None = None
    magnitude: float | None = None

    @property
    def alpha(self) -> float:
        """The strength of the seed now; 0 where no seed is blended."""
        return self.ramp.alpha

    @property
    def occupied(self) -> bool:
        """Whether a seed module exists in the slot."""
        return self.stage in OCCUPIED

    def germinated(self, blueprint: str, blend: Blend, steps: int, target: float, curve: Curve) -> "SlotState":
        """A new seed in an empty slot, with the blend that it will follow later."""
        return SlotState(
            slot=self.slot,
            stage=next_stage(self.stage, Move.GERMINATE),
            blueprint=blueprint,
            blend=blend,
            generation=self.generation + 1,
            blend_target=target,
            blend_steps=steps,
            blend_curve=curve,
        )

    def advanced(self) -> "SlotState":
        """The next stage towards HOLDING; entering BLENDING starts the ramp."""
        state = self._entered(Move.ADVANCE)
        if state.stage is Stage.BLENDING:
            return replace(state, ramp=Ramp().retargeted(self.blend_target, self.blend_steps, self.blend_curve))
        return state

    def retargeted(self, target: float, steps: int, curve: Curve) -> "SlotState":
        """Back from HOLDING into BLENDING, towards another alpha."""
        return replace(self._entered(Move.RETARGET), ramp=self.ramp.retargeted(target, steps, curve))

    @property
    def faded(self) -> bool:
        """Whether alpha was brought down to nothing, after which a seed has no way back and is to be pruned."""
        return self.stage is Stage.BLENDING and self.ramp.finished and self.ramp.target == 0.0 < self.ramp.start

    def fading(self, steps: int, curve: Curve) -> "SlotState":
        """On its way out: alpha goes down to 0, after which the seed is `faded`; one that is held goes back into BLENDING for that."""
        state = self._entered(Move.RETARGET) if self.stage is Stage.HOLDING else self
        return replace(state, ramp=self.ramp.retargeted(0.0, steps, curve))

    def held_at(self, alpha: float) -> "SlotState":
        """Held at another strength from now on; no stage changes."""
        assert self.stage is Stage.HOLDING, self.stage
        return replace(self, ramp=self.ramp.retargeted(alpha, 0, Curve.LINEAR))

    def fossilized(self) -> "SlotState":
        """Committed for good at the alpha that was held."""
        return self._entered(Move.FOSSILIZE)

    def pruned(self) -> "SlotState":
        """The seed is gone; the slot begins to rest."""
        state = self._entered(Move.PRUNE)
        return replace(state, ramp=Ramp(), contribution=None, contribution_error=None, magnitude=None)

    def ticked(self) -> "SlotState":
        """The slot one step later: seeds age along their ramp, resting slots come nearer to DORMANT."""
        if self.stage in RESTING:
            dwell = EMBARGO_STEPS if self.stage is Stage.EMBARGOED else 1
            waited = self.steps_in_stage + 1
            if waited < dwell:
                return replace(self, steps_in_stage=waited)
            after = next_stage(self.stage, Move.ELAPSE)
            if after is Stage.DORMANT:
                return SlotState(slot=self.slot, generation=self.generation)
            return replace(self, stage=after, steps_in_stage=0)
        if self.stage is Stage.DORMANT:
            return self
        # Only BLENDING moves alpha: what is held or fossilized stays as strong as it was, also where a gate was passed by.
        ramp = self.ramp.ticked() if self.stage is Stage.BLENDING else self.ramp
        return replace(self, age=self.age + 1, steps_in_stage=self.steps_in_stage + 1, ramp=ramp)

    def _entered(self, move: Move) -> "SlotState":
        return replace(self, stage=next_stage(self.stage, move), steps_in_stage=0)
