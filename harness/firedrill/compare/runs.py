"""Two runs, compared in everything but time."""

from firedrill.compare.compared import Compared
from firedrill.compare.exact import compare_exactly
from firedrill.compare.facts import Facts
from firedrill.compare.sampled import compare_sampled


class NotComparable(ValueError):
    """The two cannot be held against one another; says why."""


def compare_runs(base: Facts, head: Facts) -> list[Compared]:
    """Every metric of both; raises `NotComparable` for runs of two classes of machine, or of a class that is not known."""
    for side, facts in (("base", base), ("head", head)):
        if not facts.machine_class:
            raise NotComparable(f"the {side} does not say on which class of machine it ran; run it again with this firedrill")
    if base.machine_class != head.machine_class:
        classes = f"{base.machine_class} and {head.machine_class}"
        raise NotComparable(f"the two ran on different classes of machine, {classes}: their results are not comparable")
    return [*compare_exactly(base, head), *compare_sampled(base, head)]
