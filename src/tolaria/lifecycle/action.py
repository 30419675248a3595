"""What a controller can decide in one step: a factored action, and which of its factors matter for which op."""

from dataclasses import dataclass
from enum import StrEnum

from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend


class Op(StrEnum):
    """The decision itself; the other factors say where and how."""

    WAIT = "wait"
    GERMINATE = "germinate"
    ADVANCE = "advance"
    RETARGET = "retarget"
    FOSSILIZE = "fossilize"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class Action:
    """One decision. Factors that the op does not use keep their defaults, so that equal decisions are equal values.

    `tempo` is the length of the first blend in steps; `alpha_speed` that of a later one (RETARGET), and of the way out (PRUNE).
    A speed of 0 jumps: a prune with it takes the seed at once, any other fades it out first.
    """

    op: Op = Op.WAIT
    slot: str = ""
    blueprint: str = ""
    blend: Blend = Blend.ADD
    tempo: int = 5
    alpha_target: float = 1.0
    alpha_speed: int = 0
    alpha_curve: Curve = Curve.LINEAR


WAIT = Action()

TEMPOS = (3, 5, 8)
ALPHA_TARGETS = (0.5, 0.7, 1.0)
ALPHA_SPEEDS = (0, 3, 5, 8)

# The factors of an action, in the order of the policy's heads.
HEADS = ("op", "slot", "blueprint", "blend", "tempo", "alpha_target", "alpha_speed", "alpha_curve")

# Only these factors enter log-probability, entropy and loss of a step that executed the op.
RELEVANT_HEADS: dict[Op, frozenset[str]] = {
    Op.WAIT: frozenset({"op"}),
    Op.GERMINATE: frozenset({"op", "slot", "blueprint", "blend", "tempo", "alpha_target", "alpha_curve"}),
    Op.ADVANCE: frozenset({"op", "slot"}),
    Op.RETARGET: frozenset({"op", "slot", "alpha_target", "alpha_speed", "alpha_curve"}),
    Op.FOSSILIZE: frozenset({"op", "slot"}),
    Op.PRUNE: frozenset({"op", "slot", "alpha_speed", "alpha_curve"}),
}
