"""What a controller is paid for. Pure functions of what was measured.

Progress is potential-based shaping (Ng, Harada and Russell, 1999): the potential of a host is exp(-loss / chance loss),
in (0, 1], and a step is paid its increase. The sum over an episode telescopes, so that no loop of germinating and
pruning earns anything, and however far a loss explodes, the worst that it can cost is bounded by the potential itself.

What seeds contribute is paid in the same way: the potential of the slots is the sum of what was measured of the seeds in them, and a
step is paid its increase. A prune takes a seed's share with it, and so does the end of an episode where the seed is not
committed; the sum over an episode is what committed seeds are worth at its end. Only the commit bonus is no potential, and a slot
gets it once, because a fossil never leaves.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tolaria.env.config import RewardConfig
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import OCCUPIED, Stage
from tolaria.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Parts:
    """What a step's reward is made of; of what is charged the part is negative."""

    progress: float
    contribution: float
    bonus: float
    rent: float
    cost: float

    @property
    def total(self) -> float:
        """The reward."""
        return self.progress + self.contribution + self.bonus + self.rent + self.cost


@dataclass(frozen=True, slots=True)
class Deed:
    """What a step came to beside its vitals.

    `added_share`: parameters of seeds as a share of all there are; `slots_before` and `slots` are their records before the
    decision and after the step; `is_last` ends the episode.
    """

    added_share: float
    acted: bool
    is_last: bool = False
    slots_before: tuple[SlotState, ...] = ()
    slots: tuple[SlotState, ...] = ()


def potential(loss: float, chance_loss: float) -> float:
    """exp(-loss / chance_loss): 1 for a perfect host, 1/e at chance, 0 in the limit. `loss` must be finite."""
    assert math.isfinite(loss), loss
    return math.exp(-loss / chance_loss)


def worth(slots: Iterable[SlotState], only_committed: bool = False) -> float:
    """The potential of slots: the sum of what was measured of their seeds; one that is not measured is worth nothing."""
    stages = {Stage.FOSSILIZED} if only_committed else OCCUPIED
    return sum(state.contribution or 0.0 for state in slots if state.stage in stages)


def reward_parts(before: float, vitals: Vitals, chance_loss: float, deed: Deed, config: RewardConfig) -> Parts | None:
    """What a step earns and is charged; None where its loss is not finite. `before` is the loss before it."""
    if not math.isfinite(vitals.val_loss):
        return None
    if config.mode == "sparse":
        reached = vitals.val_accuracy if deed.is_last else 0.0
        return Parts(reached, 0.0, 0.0, -config.rent * deed.added_share * deed.is_last, 0.0)
    progress = potential(vitals.val_loss, chance_loss) - potential(before, chance_loss)
    rent, cost = -config.rent * deed.added_share, -config.action_cost * deed.acted
    if config.mode == "progress":
        return Parts(progress, 0.0, 0.0, rent, cost)
    gained = config.contribution_weight * (worth(deed.slots, deed.is_last) - worth(deed.slots_before))
    return Parts(progress, gained, config.commit_bonus * (fossils(deed.slots) - fossils(deed.slots_before)), rent, cost)


def fossils(slots: Iterable[SlotState]) -> int:
    """How many seeds are committed."""
    return sum(state.stage is Stage.FOSSILIZED for state in slots)
