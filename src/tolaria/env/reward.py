"""What a controller is paid for. Pure functions of what was measured.

Progress is potential-based shaping (Ng, Harada and Russell, 1999): the potential of a host is exp(-loss / chance loss),
in (0, 1], and a step is paid its increase. The sum over an episode telescopes, so that no loop of germinating and
pruning earns anything, and however far a loss explodes, the worst that it can cost is bounded by the potential itself.
"""

import math

from tolaria.env.config import RewardConfig
from tolaria.vitals import Vitals


def potential(loss: float, chance_loss: float) -> float:
    """exp(-loss / chance_loss): 1 for a perfect host, 1/e at chance, 0 in the limit. `loss` must be finite."""
    assert math.isfinite(loss), loss
    return math.exp(-loss / chance_loss)


def progress_reward(
    before: float, vitals: Vitals, chance_loss: float, added_share: float, acted: bool, config: RewardConfig
) -> float | None:
    """Increase of the potential since the loss `before`, minus rent and cost; None where the loss is not finite."""
    if not math.isfinite(vitals.val_loss):
        return None
    gained = potential(vitals.val_loss, chance_loss) - potential(before, chance_loss)
    return gained - config.rent * added_share - config.action_cost * acted


def sparse_reward(vitals: Vitals, is_last: bool, added_share: float, config: RewardConfig) -> float | None:
    """Validation accuracy minus rent in the last step of an episode, 0 before; None where the loss is not finite."""
    if not math.isfinite(vitals.val_loss):
        return None
    return vitals.val_accuracy - config.rent * added_share if is_last else 0.0
