import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.bench.paired import Timed
from firedrill.compare.compared import Change
from firedrill.compare.timing import PAIRS, judge, judge_confirmed, slowness


def timed(slower: float = 1.0, noise: float = 0.02, seed: int = 0, pairs: int = PAIRS, subject: str = "rollback, 1M") -> Timed:
    """Blocks of three calls whose times scatter by a factor, the head's so many times as long."""
    rng = random.Random(seed)

    def block(factor: float) -> tuple[float, ...]:
        return tuple(1e-3 * factor * rng.lognormvariate(0.0, noise) for _ in range(3))

    return Timed(subject, tuple(block(1.0) for _ in range(pairs)), tuple(block(slower) for _ in range(pairs)))


def change(one: Timed) -> Change:
    return judge([one])[0].change


def test_a_third_slower_is_a_regression_and_a_third_faster_an_improvement() -> None:
    assert change(timed(1.3)) is Change.REGRESSION
    assert change(timed(1 / 1.3)) is Change.IMPROVED
    assert judge([timed(1.3)])[0].head.startswith("1.3")


def test_identical_code_is_unchanged_on_a_quiet_machine_and_never_red_on_a_loud_one() -> None:
    assert change(timed()) is Change.UNCHANGED
    loud = [change(timed(noise=0.4, seed=seed)) for seed in range(40)]
    assert loud.count(Change.REGRESSION) + loud.count(Change.IMPROVED) <= 1
    assert Change.INCONCLUSIVE in loud


def test_less_than_what_is_declared_is_no_regression_however_sure_it_is() -> None:
    found = slowness(timed(1.05, noise=0.001))
    assert (found.ratio.low > 1, found.p < 0.01) == (True, True)
    assert change(timed(1.05, noise=0.001)) is Change.UNCHANGED


def test_more_than_is_declared_is_no_regression_within_the_noise_of_identical_code() -> None:
    found = slowness(timed(1.2, noise=0.6, seed=3))
    assert 3 * found.spread > 0.2
    assert change(timed(1.2, noise=0.6, seed=3)) is Change.INCONCLUSIVE


def test_the_spread_is_of_neighbours_of_one_side() -> None:
    # In the order A B B A the head's block of pair 0 and that of pair 1 are neighbours, and in pair 1 and 2 the base's.
    one = Timed("x", ((1.0,), (2.0,), (2.0,)), ((3.0,), (3.0,), (9.0,)))
    assert slowness(one).spread == 0.0


def test_few_pairs_prove_nothing() -> None:
    assert change(timed(1.3, pairs=6)) is Change.INCONCLUSIVE


def test_many_operations_are_judged_together() -> None:
    # Alone its p of 2/2^8 would do.
    few = timed(1.3, pairs=8)
    assert change(few) is Change.REGRESSION
    others = [timed(seed=seed, pairs=8, subject=str(seed)) for seed in range(1, 9)]
    assert judge([few, *others])[0].change is Change.INCONCLUSIVE


@pytest.mark.parametrize(("again", "verdict"), [(1.3, Change.REGRESSION), (1.0, Change.INCONCLUSIVE)])
def test_what_seems_slower_is_measured_again_by_itself(again: float, verdict: Change) -> None:
    asked: list[list[str]] = []

    def measure(suspects: Sequence[str]) -> list[Timed]:
        asked.append(list(suspects))
        return [timed(again if suspects else 1.3, seed=len(asked)), timed(subject="take, 1M", seed=7)]

    found, taken = judge_confirmed(measure)
    assert asked == [[], ["rollback, 1M"]]
    assert [one.change for one in found] == [verdict, Change.UNCHANGED]
    assert len(taken) == 3


def test_what_cannot_be_measured_again_is_not_confirmed() -> None:
    found, _ = judge_confirmed(lambda suspects: [] if suspects else [timed(1.3)])
    assert [one.change for one in found] == [Change.INCONCLUSIVE]
    assert found[0].detail.endswith("it could not be measured again")


def test_a_metric_is_named_by_its_clock() -> None:
    assert [one.metric for one in judge([timed(), replace(timed(), clock="wall time")])] == ["CPU time", "wall time"]


def test_what_does_not_seem_slower_is_measured_once() -> None:
    asked: list[int] = []

    def measure(suspects: Sequence[str]) -> list[Timed]:
        asked.append(len(suspects))
        return [timed()]

    judge_confirmed(measure)
    assert asked == [0]


# Medians of blocks in microseconds, of identical code on both sides, recorded on two cores that ten other processes wanted too.
ROLLBACK = "rollback, 0.1M"
RECORDED = json.loads((Path(__file__).parent / "identical-blocks.json").read_text())
# The same of rollbacks, whole and part by part.
ROLLBACKS = json.loads((Path(__file__).parent / "identical-rollbacks.json").read_text())
PARTS = sorted(ROLLBACKS[0])


def recorded(comparison: dict[str, list[list[float]]], slower: float = 1.0, subject: str = ROLLBACK) -> list[Timed]:
    """One comparison, with one operation of the head so many times as long."""
    found = []
    for name, (base, head) in comparison.items():
        factor = slower if name == subject else 1.0
        found.append(Timed(name, tuple((value,) for value in base), tuple((factor * value,) for value in head)))
    return found


def test_real_noise_of_identical_code_is_hardly_ever_called_a_regression() -> None:
    reds = [one.subject for comparison in (*RECORDED, *ROLLBACKS) for one in judge(recorded(comparison)) if one.change is Change.REGRESSION]
    assert len(reds) <= 1, reds


def test_rollbacks_that_take_a_third_longer_are_found_in_real_noise_or_at_least_not_called_the_same() -> None:
    found = [one.change for comparison in RECORDED for one in judge(recorded(comparison, 1.3)) if one.subject == ROLLBACK]
    assert set(found) <= {Change.REGRESSION, Change.INCONCLUSIVE}
    assert found.count(Change.REGRESSION) >= 0.75 * len(found)


@pytest.mark.parametrize("part", PARTS)
def test_so_is_every_part_of_a_rollback_and_no_other_part_is_blamed_for_it(part: str) -> None:
    judged = [one for comparison in ROLLBACKS for one in judge(recorded(comparison, 1.3, part))]
    assert {one.change for one in judged if one.subject == part} <= {Change.REGRESSION, Change.INCONCLUSIVE}
    assert [one.subject for one in judged if one.change is Change.REGRESSION and one.subject != part] == []
