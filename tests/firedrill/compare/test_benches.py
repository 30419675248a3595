import random
from dataclasses import replace

import pytest

from firedrill.bench.record import Case, Record
from firedrill.compare.benches import ADVICE, compare_benches
from firedrill.compare.compared import Change
from firedrill.compare.runs import NotComparable

RNG = random.Random(0)
SECONDS = tuple(3.0 * RNG.lognormvariate(0.0, 0.02) for _ in range(60))
CASE = Case("take", 100_000, 30, "hot", 1.5, {}, 2.9, 3.0, 3.0, 3.1, 3.0, 60, False, SECONDS)
BASE = Record({"cores": "2"}, {}, (CASE,))


def test_what_moved_with_its_limit_is_unchanged() -> None:
    # Everything took twice as long in that hour.
    head = replace(BASE, cases=(replace(CASE, median=6.0, seconds=tuple(2 * value for value in SECONDS)),))
    assert [one.change for one in compare_benches(BASE, head)] == [Change.UNCHANGED]


@pytest.mark.parametrize("ratio", [1.5 * 1.3, 1.5 / 1.3])
def test_what_moved_against_its_limit_is_a_question_and_never_an_accusation(ratio: float) -> None:
    (found,) = compare_benches(BASE, replace(BASE, cases=(replace(CASE, ratio_to_limit=ratio),)))
    assert found.change is Change.INCONCLUSIVE
    assert ADVICE in found.detail


def test_without_samples_nothing_is_shown_to_be_the_same() -> None:
    assert compare_benches(BASE, replace(BASE, cases=(replace(CASE, seconds=()),)))[0].change is Change.INCONCLUSIVE


def test_what_one_record_has_alone_is_not_compared() -> None:
    assert compare_benches(BASE, replace(BASE, cases=(replace(CASE, mode="train"),))) == []


def test_another_machine_is_refused() -> None:
    with pytest.raises(NotComparable, match="different machines"):
        compare_benches(BASE, replace(BASE, machine={"cores": "64"}))
