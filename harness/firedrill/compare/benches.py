"""Two records of the benchmark, measured at different times: what moved against the limit, which proves nothing yet.

Each record was measured against its own limit, so that a faster or slower hour cancels out in part. It does not in full, and
therefore nothing here is ever called a regression: that takes both states of the code in turns on one machine.
"""

from collections.abc import Sequence

import numpy as np

from firedrill.bench.record import Case, Record
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.runs import NotComparable
from firedrill.compare.statistics import RESAMPLES, Estimate
from firedrill.compare.timing import DECLARED

ADVICE = "measured apart; firedrill compare REVISION REVISION times both in turns"


def compare_benches(base: Record, head: Record) -> list[Compared]:
    """Every operation that both records have; raises `NotComparable` for two kinds of machine."""
    if dict(base.machine) != dict(head.machine):
        raise NotComparable(f"the two were measured on different machines, {dict(base.machine)} and {dict(head.machine)}")
    before = {(case.op, case.params, case.mode): case for case in base.cases}
    return [_compared(before[key], case) for case in head.cases if (key := (case.op, case.params, case.mode)) in before]


def _compared(base: Case, head: Case) -> Compared:
    subject = f"{head.op}, {head.params / 1e6:g}M, {head.mode}"
    texts = (f"{base.ratio_to_limit:.3g}", f"{head.ratio_to_limit:.3g}")
    found = _ratio(base, head)
    detail = f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}] of the base; {ADVICE}"
    same = found.low > 1 / (1 + DECLARED) and found.high < 1 + DECLARED
    return Compared(subject, "times the limit", MetricClass.TIMING, Change.UNCHANGED if same else Change.INCONCLUSIVE, *texts, detail)


def _ratio(base: Case, head: Case) -> Estimate:
    value = head.ratio_to_limit / base.ratio_to_limit
    if not base.seconds or not head.seconds:
        # A record of an earlier version has no samples, and so nothing is known of its scatter.
        return Estimate(value, 0.0, float("inf"))
    rng = np.random.default_rng(0)
    scattered = _medians(head.seconds, rng) / _medians(base.seconds, rng)
    low, high = np.quantile(scattered / np.median(scattered), (0.025, 0.975))
    return Estimate(value, value * float(low), value * float(high))


def _medians(seconds: Sequence[float], rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    drawn = np.asarray(seconds)[rng.integers(len(seconds), size=(RESAMPLES, len(seconds)))]
    medians: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.median(drawn, axis=-1)
    return medians
