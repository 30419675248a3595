from dataclasses import replace

import pytest

from firedrill.compare.facts import Facts
from firedrill.compare.runs import NotComparable, compare_runs


def test_another_class_of_machine_is_refused(base: Facts) -> None:
    with pytest.raises(NotComparable, match="different classes of machine, linux-x86_64-2-cores and other"):
        compare_runs(base, replace(base, machine_class="other"))


def test_a_class_that_is_not_known_is_refused(base: Facts) -> None:
    with pytest.raises(NotComparable, match="the head does not say on which class of machine"):
        compare_runs(base, replace(base, machine_class=""))


def test_exact_and_sampled_metrics_are_compared(base: Facts) -> None:
    many = replace(base, cells={f"nan-weight[cpu,seed={i}]": next(iter(base.cells.values())) for i in range(8)})
    assert {compared.kind for compared in compare_runs(many, many)} == {"exact", "seeded"}
