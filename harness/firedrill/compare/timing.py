"""Whether a state of the code is slower than another one, by blocks that were timed in turns.

A ratio is a regression only where all of this holds, and holds again in a second measurement of just that operation:

    it exceeds what is declared, and three times the spread that blocks of identical code have among themselves
    its bootstrap interval lies above 1
    its p by the exact Wilcoxon test, adjusted for the number of operations, is below .01
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from firedrill.bench.paired import Timed
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.statistics import Estimate, adjusted, ratio, strayed, wilcoxon

# A tenth slower is what somebody would notice.
DECLARED = 0.10
ALPHA = 0.01
SPREADS = 3.0
# With as few operations as there are, and so many pairs, the exact test can come below ALPHA after the adjustment.
PAIRS = 16
# Calls of every operation in a block.
ROUNDS = 10

# Times these operations, or all of them where none is named.
Measure = Callable[[Sequence[str]], Sequence[Timed]]


@dataclass(frozen=True, slots=True)
class Slowness:
    """Head to base. `spread`: by how much the same ratio of identical code strays, as one standard error of its logarithm."""

    ratio: Estimate
    spread: float
    p: float


def slowness(timed: Timed) -> Slowness:
    """Of one operation, from the medians of its blocks."""
    base, head = (np.log(np.asarray(medians)) for medians in timed.medians)
    # In the order A B B A the last block of a pair and the first one of the next are of one side, and neighbours too.
    same = [head[i + 1] - head[i] if i % 2 == 0 else base[i + 1] - base[i] for i in range(len(base) - 1)]
    return Slowness(ratio(list(head - base)), strayed(same, len(base)), wilcoxon(list(base), list(head)))


def judge(found: Sequence[Timed], declared: float = DECLARED) -> list[Compared]:
    """Every operation, judged together by Benjamini and Hochberg; a regression is not confirmed yet."""
    measured = [slowness(timed) for timed in found]
    ps = adjusted([one.p for one in measured])
    return [_judged(timed, one, p, declared) for timed, one, p in zip(found, measured, ps, strict=True)]


def judge_confirmed(measure: Measure, declared: float = DECLARED) -> tuple[list[Compared], list[Timed]]:
    """Measure and judge, and measure what seems slower once more; what does not seem so again is inconclusive. Also all that was timed."""
    timed = list(measure(()))
    first = judge(timed, declared)
    suspects = [compared.subject for compared in first if compared.change is Change.REGRESSION]
    if not suspects:
        return first, timed
    again = [one for one in measure(suspects) if one.subject in suspects]
    second = {compared.subject: compared for compared in judge(again, declared)}
    return [_confirmed(compared, second.get(compared.subject)) for compared in first], timed + again


def _confirmed(first: Compared, second: Compared | None) -> Compared:
    if first.change is not Change.REGRESSION:
        return first
    if second is None:
        return replace(first, change=Change.INCONCLUSIVE, detail=f"{first.detail}; it could not be measured again")
    if second.change is Change.REGRESSION:
        return replace(first, detail=f"{first.detail}; confirmed, {second.head}")
    return replace(first, change=Change.INCONCLUSIVE, detail=f"{first.detail}; measured again it is {second.head}")


def _judged(timed: Timed, found: Slowness, p: float, declared: float) -> Compared:
    noise = math.expm1(SPREADS * found.spread)
    limit = 1 + max(declared, noise)
    value, low, high = found.ratio.value, found.ratio.low, found.ratio.high
    if value > limit and low > 1 and p < ALPHA:
        change = Change.REGRESSION
    elif 1 / value > limit and high < 1 and p < ALPHA:
        change = Change.IMPROVED
    else:
        change = Change.UNCHANGED if 1 / (1 + declared) < low and high < 1 + declared else Change.INCONCLUSIVE
    before, after = (float(np.median(medians)) for medians in timed.medians)
    detail = f"[{low:.3g}, {high:.3g}] in {len(timed.base)} pairs of blocks, limit {limit:.3g}, p {p:.2g}"
    said = (_time(before), f"{value:.3g} x ({_time(after)})")
    return Compared(timed.subject, timed.clock, MetricClass.TIMING, change, *said, detail)


def _time(seconds: float) -> str:
    microseconds = 1e6 * seconds
    return f"{microseconds:.0f} µs" if microseconds >= 100 else f"{microseconds:.3g} µs"
