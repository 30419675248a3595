"""The running spread of discounted returns, by which rewards are divided before they teach.

Only the spread is used: subtracting a mean would change which policy is best. What rewards are divided by never falls again:
a controller that has learnt to leave a reward alone would find it larger and larger, until it outweighs the death penalty that
keeps it away, and relapse (measured in the credit experiment, with a recurrent network). Observations need no running statistics,
because `policy/observation.py` bounds them by construction; so there is none that a broken host could poison.
"""

import math
from collections.abc import Mapping
from typing import cast

from tolaria.policy.policy import JSON

# A stream of returns without spread is left as it is; dividing by its rounding errors would teach noise.
STD_MIN = 1e-6


class ReturnNormalizer:
    """Welford's running variance of every environment's discounted return so far (Engstrom et al. 2020, VecNormalize)."""

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma
        self._returns: dict[int, float] = {}
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0
        self._peak = 0.0

    @property
    def std(self) -> float:
        """The population standard deviation of all returns seen; 0 before the second."""
        return math.sqrt(self._squares / self._count) if self._count > 1 else 0.0

    @property
    def scale(self) -> float:
        """What rewards are divided by: the largest spread that there was at the end of a rollout."""
        return self._peak if self._peak >= STD_MIN else 1.0

    def finish_rollout(self) -> None:
        """All rewards of a rollout are counted."""
        self._peak = max(self._peak, self.std)

    def observe(self, env: int, reward: float, ended: bool) -> None:
        """Count one more reward of an environment; the return starts anew after the end of a segment."""
        assert math.isfinite(reward), reward
        discounted = self.gamma * self._returns.get(env, 0.0) + reward
        self._count += 1
        delta = discounted - self._mean
        self._mean += delta / self._count
        self._squares += delta * (discounted - self._mean)
        self._returns[env] = 0.0 if ended else discounted

    def skip(self, env: int) -> None:
        """A segment ended with a penalty, which is no part of the statistics."""
        self._returns[env] = 0.0

    def facts(self) -> dict[str, JSON]:
        """The whole state."""
        returns: dict[str, JSON] = {str(env): value for env, value in self._returns.items()}
        return {"count": self._count, "mean": self._mean, "squares": self._squares, "peak": self._peak, "returns": returns}

    def restore(self, facts: Mapping[str, JSON]) -> None:
        """Put back what `facts` gave."""
        self._count = cast("int", facts["count"])
        self._mean = cast("float", facts["mean"])
        self._squares = cast("float", facts["squares"])
        self._peak = cast("float", facts["peak"])
        self._returns = {int(env): value for env, value in cast("Mapping[str, float]", facts["returns"]).items()}
