"""One metric of two runs, and the word for what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Change(StrEnum):
    """What became of a metric, in the order in which a reader wants to see it. Only `REGRESSION` is red."""

    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not-comparable"
    NOT_RUN = "not-run"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"


class MetricClass(StrEnum):
    """How a metric is judged.

    exact   any worsening counts, at once
    seeded  paired by seed: the difference of interquartile means, with a bootstrap interval and the exact Wilcoxon test
    rate    so many of so many: Wilson intervals and the exact test of Fisher
    timing  the ratio of head to base in interleaved blocks on one machine, against what the machine does to identical code
    """

    EXACT = "exact"
    SEEDED = "seeded"
    RATE = "rate"
    TIMING = "timing"


@dataclass(frozen=True, slots=True)
class Compared:
    """A metric of `subject` (a cell, a benchmark), as text on either side; `detail` says what the change rests on."""

    subject: str
    metric: str
    kind: MetricClass
    change: Change
    base: str
    head: str
    detail: str = ""


CHANGES = tuple(Change)
# What is counted and not listed, because there is nothing to do about it.
QUIET = frozenset({Change.UNCHANGED})


def worst_first(found: Iterable[Compared]) -> list[Compared]:
    """In the order of `Change`; otherwise as they came."""
    return sorted(found, key=lambda compared: CHANGES.index(compared.change))


def counts(found: Iterable[Compared]) -> str:
    """How many of each: "1 regression, 24 unchanged"; "nothing was compared" of nothing."""
    changes = [compared.change for compared in found]
    return ", ".join(f"{changes.count(change)} {change}" for change in Change if change in changes) or "nothing was compared"


def gathered(found: Iterable[Compared]) -> list[Compared]:
    """Those that differ in nothing but their subject as one, which names the first subject and counts the others."""
    groups: dict[tuple[str, ...], list[Compared]] = {}
    for compared in found:
        key = (compared.metric, compared.kind, compared.change, compared.base, compared.head, compared.detail)
        groups.setdefault(key, []).append(compared)
    return [
        group[0] if len(group) == 1 else replace(group[0], subject=f"{group[0].subject} and {len(group) - 1} more")
        for group in groups.values()
    ]
