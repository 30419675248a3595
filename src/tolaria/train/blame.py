"""Which decisions a collapse is blamed on: the latest executed one on each seed that the rollback prunes.

Where several seeds were alive, one ablation each says how much of the collapse is undone when that seed alone is taken out.
"""

import math
from collections.abc import Mapping

from tolaria.env.capsule import CapsuleHost
from tolaria.ppo.penalty import Cause
from tolaria.vitals import Vitals


def weigh_seeds(training: CapsuleHost, vitals: Vitals, chance_loss: float) -> dict[str, float]:
    """The part that each experimental seed of a collapsed host has in the collapse; all parts add up to 1. Changes nothing.

    Equal parts where taking out seeds undoes nothing, or cannot be measured.
    """
    slots = training.host.experimental_slots()
    if len(slots) < 2:
        return dict.fromkeys(slots, 1.0)
    return parts_of({slot: _health(_loss_without(training, slot), chance_loss) for slot in slots}, _health(vitals.val_loss, chance_loss))


def parts_of(healths: Mapping[str, float], collapsed: float) -> dict[str, float]:
    """The parts by how far the host's health without a seed lies above that of the `collapsed` host with all of them."""
    undone = {slot: max(0.0, health - collapsed) for slot, health in healths.items()}
    whole = math.fsum(undone.values())
    if whole <= 0.0:
        return dict.fromkeys(healths, 1.0 / len(healths))
    return {slot: each / whole for slot, each in undone.items()}


def causes_of(touched: Mapping[str, int], parts: Mapping[str, float], pruned: tuple[str, ...]) -> tuple[Cause, ...]:
    """The causes of a rollback; `touched` has the latest step of this life in which a decision was executed on a slot.

    A seed on which nobody decided anything leaves its part with nobody.
    """
    return tuple(Cause(touched[slot], parts.get(slot, 0.0)) for slot in pruned if slot in touched)


def _loss_without(training: CapsuleHost, slot: str) -> float:
    try:
        return training.validate(without=(slot,))[0]
    except Exception:  # noqa: BLE001 - a broken host may fail in any way; it is rolled back all the same, and this seed undid nothing
        return math.nan


def _health(loss: float, chance_loss: float) -> float:
    """From 1, no loss, to 0, which is also the health of a host whose loss is no number."""
    return math.exp(-loss / chance_loss) if math.isfinite(loss) else 0.0
