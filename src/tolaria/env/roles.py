"""What a seed is to its host while a batch is trained, which decides what has to be computed of it."""

from tolaria.host.slot import MIXED, Slot
from tolaria.lifecycle.stage import Stage

# It learns beside its host; it is mixed in and learns with it; it is mixed in and learns no more.
ISOLATED, LEARNING, FOSSIL = "isolated", "learning", "fossil"


def role_of(slot: Slot) -> str | None:
    """The role of the seed in a slot now; None where nothing of it is computed."""
    if slot.seed is None:
        return None
    if slot.state.stage is Stage.TRAINING:
        return ISOLATED
    if slot.state.stage not in MIXED or slot.state.alpha == 0.0:
        return None
    return FOSSIL if slot.state.stage is Stage.FOSSILIZED else LEARNING
