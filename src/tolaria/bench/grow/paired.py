"""Differences between arms that were run on the same seeds, and what they say of seeds that were not run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.stats import t as student

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the ends of its 95 % confidence interval (Student's t); without ends where there are fewer than two values."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """ "better", "worse", or "unclear" where the interval holds zero."""
        if self.low > 0.0:
            return "better"
        return "worse" if self.high < 0.0 else "unclear"


def interval(values: Sequence[float]) -> Interval:
    """The mean of independent values, with its interval."""
    middle = mean(values)
    if len(values) < 2:
        return Interval(middle, -math.inf, math.inf)
    reach = float(student.ppf(0.5 + CONFIDENCE / 2.0, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Interval(middle, middle - reach, middle + reach)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Ours minus theirs, seed by seed."""
    return interval([our - their for our, their in zip(ours, theirs, strict=True)])
