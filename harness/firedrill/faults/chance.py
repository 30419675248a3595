"""Faults that come by chance: by a probability a step, or by a mean time between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firedrill.faults.fault import Unfit, check_positive_count

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Either strikes in each due step with a `probability`, or leaves `mean_steps` between two strikes on average (a Poisson process).

    At most `limit` times in each environment. What chance comes to is drawn from a stream of its own, so it is the same in every run.
    """

    limit: int
    probability: float | None = None
    mean_steps: float | None = None

    def __post_init__(self) -> None:
        if (self.probability is None) == (self.mean_steps is None):
            raise ValueError("say exactly one of probability and mean_steps")
        if self.probability is not None and not 0.0 < self.probability <= 1.0:
            raise Unfit("probability", f"a probability lies above 0 and is at most 1, {self.probability:g} is not")
        if self.mean_steps is not None and not 0.0 < self.mean_steps < math.inf:
            raise Unfit("mean_steps", f"a mean time is finite and above 0, {self.mean_steps:g} is not")
        check_positive_count("limit", self.limit)

    def strikes(self, waited: int, rng: np.random.Generator) -> bool:
        """Whether it strikes so many steps after the first that was due; `rng` begins anew for every question."""
        if self.probability is not None:
            struck = rng.random(waited + 1) < self.probability
            return bool(struck[waited]) and int(struck.sum()) <= self.limit
        assert self.mean_steps is not None
        return waited in set(map(int, rng.exponential(self.mean_steps, self.limit).cumsum()))
