"""Metrics with noise that no clock makes: losses paired by seed, and rates over cells that a campaign drew."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.facts import CellFacts, Facts
from firedrill.compare.statistics import adjusted, fisher, mean_difference, wilcoxon, wilson
from firedrill.runner.verdict import Verdict

# Fewer pairs than this cannot come to a p below ALPHA, whatever they say.
PAIRS_MIN = 8
ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Tested:
    """A metric with its p-value, before the number of all tests is known. `worse` and `better` are what its interval excludes."""

    subject: str
    metric: str
    kind: MetricClass
    p: float
    worse: bool
    better: bool
    base: str
    head: str
    detail: str


def compare_sampled(base: Facts, head: Facts) -> list[Compared]:
    """Losses of every device, and rates of verdicts over cells that a campaign drew, judged together by Benjamini and Hochberg."""
    tested = [*_losses(base, head), *_rates(base, head)]
    return [_judged(one, p) for one, p in zip(tested, adjusted([one.p for one in tested]), strict=True)]


def _judged(tested: Tested, p: float) -> Compared:
    if p < ALPHA and tested.worse:
        change = Change.REGRESSION
    elif p < ALPHA and tested.better:
        change = Change.IMPROVED
    else:
        # Bytes that are the same have no p below 1; anything else is not shown to be the same.
        change = Change.UNCHANGED if tested.p >= 1.0 or not (tested.worse or tested.better) else Change.INCONCLUSIVE
    return Compared(tested.subject, tested.metric, tested.kind, change, tested.base, tested.head, f"{tested.detail}, p {p:.2g}")


def _losses(base: Facts, head: Facts) -> list[Tested]:
    """The last losses of cells that both runs have, which are paired by their seeds: by scenario where it has many, and of all cells."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for name, before in base.cells.items():
        after = head.cells.get(name)
        if after is None or before.log_loss is None or after.log_loss is None:
            continue
        for group in (f"all cells on {before.device}", f"{before.scenario} on {before.device}"):
            pairs.setdefault(group, []).append((before.log_loss, after.log_loss))
    return [_loss(group, found) for group, found in pairs.items() if len(found) >= PAIRS_MIN]


def _loss(group: str, pairs: Sequence[tuple[float, float]]) -> Tested:
    before, after = [was for was, _ in pairs], [now for _, now in pairs]
    found = mean_difference(before, after)
    detail = f"loss {_percent(found.value)} [{_percent(found.low)}, {_percent(found.high)}] over {len(pairs)} seeds"
    p = wilcoxon(before, after)
    return Tested(group, "last loss", MetricClass.SEEDED, p, found.low > 0, found.high < 0, "", _percent(found.value), detail)


def _percent(difference: float) -> str:
    # Of logarithms, which is that of their ratio.
    return f"{100 * math.expm1(difference):+.2g} %"


def _rates(base: Facts, head: Facts) -> list[Tested]:
    before, after = _drawn(base.cells), _drawn(head.cells)
    if not before or not after:
        return []
    kinds = {
        "not as expected": lambda cell: cell.failed,
        "missed": lambda cell: cell.verdict == Verdict.MISSED.value,
        "false alarms": lambda cell: cell.verdict == Verdict.FALSE_ALARM.value,
    }
    return [_rate(name, (sum(map(is_hit, before)), len(before)), (sum(map(is_hit, after)), len(after))) for name, is_hit in kinds.items()]


def _drawn(cells: Mapping[str, CellFacts]) -> list[CellFacts]:
    return [cell for cell in cells.values() if cell.generated and cell.verdict != Verdict.NOT_RUN.value]


def _rate(name: str, base: tuple[int, int], head: tuple[int, int]) -> Tested:
    was, now = wilson(*base), wilson(*head)
    said = [f"{hits} of {of} [{100 * share.low:.2g}, {100 * share.high:.2g} %]" for (hits, of), share in ((base, was), (head, now))]
    p = fisher(base, head)
    return Tested(
        "campaign", name, MetricClass.RATE, p, now.value > was.value, now.value < was.value, said[0], said[1], "Wilson intervals, Fisher"
    )
