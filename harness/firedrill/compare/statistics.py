"""The few statistics that comparisons rest on. What they mean for a change is decided elsewhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

RESAMPLES = 4000
# Up to so many pairs every assignment of signs is counted.
EXACT_MAX = 50
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def interquartile_mean(values: Floats) -> Floats:
    """Of the last axis: the mean of the middle half, which neither a lucky nor a broken seed moves (Agarwal et al. 2021)."""
    trimmed: Floats = stats.trim_mean(values, 0.25, axis=-1)
    return trimmed


def mean_difference(base: Sequence[float], head: Sequence[float]) -> Estimate:
    """Interquartile mean of head less base, pair by pair, with a percentile bootstrap interval over the pairs."""
    differences = np.asarray(head) - np.asarray(base)
    rng = np.random.default_rng(0)
    drawn = differences[rng.integers(len(differences), size=(RESAMPLES, len(differences)))]
    low, high = np.quantile(interquartile_mean(drawn), (0.025, 0.975))
    return Estimate(float(interquartile_mean(differences)), float(low), float(high))


def wilcoxon(base: Sequence[float], head: Sequence[float]) -> float:
    """Two-sided p of the signed-rank test over pairs that differ, exact without ties; 1 where all pairs are equal."""
    differences = np.asarray(head) - np.asarray(base)
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    exact = len(differences) <= EXACT_MAX and len(set(np.abs(differences))) == len(differences)
    return float(stats.wilcoxon(differences, method="exact" if exact else "asymptotic").pvalue)


def wilson(hits: int, of: int) -> Estimate:
    """A share with its Wilson interval."""
    interval = stats.binomtest(hits, of).proportion_ci(0.95, method="wilson")
    return Estimate(hits / of, float(interval.low), float(interval.high))


def fisher(base: tuple[int, int], head: tuple[int, int]) -> float:
    """Two-sided p of the exact test for two shares, each (hits, of)."""
    table = [[hits, of - hits] for hits, of in (base, head)]
    return float(stats.fisher_exact(table).pvalue)


def adjusted(ps: Sequence[float]) -> tuple[float, ...]:
    """p-values by Benjamini and Hochberg: of what is called red at .01, one in a hundred may be so by chance."""
    return tuple(float(p) for p in stats.false_discovery_control(ps)) if ps else ()


def ratio(logarithms: Sequence[float]) -> Estimate:
    """The interquartile mean of ratios that are given as logarithms, with a percentile bootstrap interval."""
    values = np.asarray(logarithms)
    rng = np.random.default_rng(0)
    means = interquartile_mean(values[rng.integers(len(values), size=(RESAMPLES, len(values)))])
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(math.exp(float(interquartile_mean(values))), math.exp(float(low)), math.exp(float(high)))


def strayed(differences: Sequence[float], pairs: int) -> float:
    """By how much the interquartile mean of so many differences strays around 0, where none of them has a preferred sign."""
    values = np.asarray(differences)
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(len(values), size=(RESAMPLES, pairs))] * rng.choice((-1.0, 1.0), size=(RESAMPLES, pairs))
    return float(np.std(interquartile_mean(drawn)))
