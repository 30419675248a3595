"""Which decisions a collapse is blamed on: the latest executed one on each seed that the rollback pruned.

Where it pruned several, one ablation each says how much of the collapse is undone when that seed alone is taken out. They are
made before the rollback, while the seeds are still there, and therefore for every seed that it might prune.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tolaria.env.capsule import CapsuleHost
from tolaria.lifecycle.stage import OCCUPIED
from tolaria.ppo.penalty import Cause
from tolaria.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Ablations:
    """The health of a collapsed host, from 1 (no loss) to 0 (its loss is no number), as it is and `without` one seed each."""

    collapsed: float = 0.0
    without: Mapping[str, float] = field(default_factory=dict)

    def parts(self, pruned: tuple[str, ...]) -> dict[str, float]:
        """What each of these slots' seeds has to do with the collapse, 1 in all; equal parts where taking out none undoes anything."""
        undone = {slot: max(0.0, self.without.get(slot, 0.0) - self.collapsed) for slot in pruned}
        whole = math.fsum(undone.values())
        if len(pruned) == 1 or whole <= 0.0:
            return {slot: 1.0 / len(pruned) for slot in pruned}
        return {slot: each / whole for slot, each in undone.items()}


def ablate(training: CapsuleHost, vitals: Vitals, chance_loss: float) -> Ablations:
    """Take out every seed of a host once, where there is more than one; changes nothing."""
    slots = [slot for slot, state in training.host.slot_states().items() if state.stage in OCCUPIED]
    if len(slots) < 2:
        return Ablations()
    return Ablations(
        health(vitals.val_loss, chance_loss),
        {slot: health(_loss_without(training, slot), chance_loss) for slot in slots},
    )


def causes_of(touched: Mapping[str, int], ablations: Ablations, pruned: tuple[str, ...]) -> tuple[Cause, ...]:
    """The causes of a rollback; `touched` has the latest step of this life in which a decision was executed on a slot.

    A seed on which nobody decided anything leaves its part with nobody.
    """
    parts = ablations.parts(pruned)
    return tuple(Cause(touched[slot], parts[slot]) for slot in pruned if slot in touched)


def health(loss: float, chance_loss: float) -> float:
    """From 1, no loss, over 1/e, mere chance, to 0, no number."""
    return math.exp(-loss / chance_loss) if math.isfinite(loss) else 0.0


def _loss_without(training: CapsuleHost, slot: str) -> float:
    try:
        return training.validate(without=(slot,))[0]
    except Exception:  # noqa: BLE001 - a broken host may fail in any way; it is rolled back all the same, and this seed undid nothing
        return math.nan
