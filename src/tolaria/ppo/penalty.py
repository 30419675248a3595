"""What a death costs, and which rows bear it.

The governor owes an amount P. `Price` turns it into what the controller is charged now: P itself, P times the running spread
of returns, or P times the multiplier of a constraint on the rate of collapses (Tessler et al. 2019, "Reward constrained policy
optimization"). `shares` then divides it among rows:

    last     all of it on the row of the step that collapsed
    cause    all of it on the decisions that led there
    split    half and half

A cause that the rollout does not hold, because it lies in an earlier rollout or in an earlier life, leaves its share with the
last row. So every death costs exactly what it costs: the shares add up to it to the last bit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from tolaria.errors import ConfigError
from tolaria.policy.policy import JSON
from tolaria.ppo.config import PenaltyConfig

# How much of a penalty goes to the causes.
CAUSED = {"last": 0.0, "split": 0.5, "cause": 1.0}
# Shares are multiples of so many units in the last place of the whole, so that sums of them are exact.
GRAIN = 2.0**20
# Weights that were made to add up to 1, in single precision too, may be more than that by so much.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Cause:
    """A decision that a collapse is blamed on, by the step in which it was executed; all weights of a collapse add up to at most 1."""

    step: int
    weight: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.weight <= 1.0 + ROUNDING:
            raise ConfigError("causes", self.weight, "weights from 0 to 1")


@dataclass(frozen=True, slots=True)
class Share:
    """What the row of one step bears."""

    step: int
    amount: float


@dataclass(frozen=True, slots=True)
class Charged:
    """What a death cost: `amount` in all, the shares of the rows that bear it, oldest first. The last one is that of the collapse."""

    amount: float
    shares: tuple[Share, ...]


class Price:
    """What is charged for each unit of penalty that is owed, between `factor_min` and `factor_max`; never 0, and 1 where it is fixed."""

    def __init__(self, config: PenaltyConfig) -> None:
        self._config = config
        self.multiplier = 1.0

    def factor(self, return_std: float) -> float:
        """What to multiply the penalty by; `return_std` is the spread of discounted returns, raw."""
        if self._config.mode == "return_std":
            return self._within(return_std)
        return self.multiplier if self._config.mode == "lagrangian" else 1.0

    def learn(self, rows: int, deaths: int) -> None:
        """Dual ascent after a rollout: dearer where hosts collapse more often than is allowed, cheaper where they do less."""
        if rows > 0:
            excess = deaths / rows / self._config.rate_max - 1.0
            self.multiplier = self._within(self.multiplier + self._config.multiplier_lr * excess)

    def facts(self) -> dict[str, JSON]:
        """The whole state."""
        return {"multiplier": self.multiplier}

    def restore(self, facts: Mapping[str, JSON]) -> None:
        """Put back what `facts` gave."""
        self.multiplier = cast("float", facts["multiplier"])

    def _within(self, factor: float) -> float:
        return min(max(factor, self._config.factor_min), self._config.factor_max)


def shares(amount: float, last: int, causes: Sequence[Cause], reachable: Sequence[int], attribution: str) -> tuple[Share, ...]:
    """The shares of a death in step `last`; `reachable` are the steps before it whose rows can still be charged.

    Raises `ConfigError` where causes weigh more than 1 together, for then the row of the collapse would be paid.
    """
    whole = max(1.0, math.fsum(cause.weight for cause in causes))
    if whole > 1.0 + ROUNDING:
        raise ConfigError("causes", whole, "weights that add up to at most 1")
    grain = math.ulp(amount) * GRAIN
    weights = dict.fromkeys(sorted({cause.step for cause in causes} & set(reachable)), 0.0)
    for cause in causes:
        if cause.step in weights:
            weights[cause.step] += cause.weight / whole
    # Towards zero, so that nobody is ever paid for the rounding of others.
    parts = {step: math.trunc(CAUSED[attribution] * amount * weight / grain) * grain for step, weight in weights.items()}
    rest = amount - math.fsum(parts.values())
    return (*(Share(step, part) for step, part in parts.items() if part != 0.0), Share(last, rest))
