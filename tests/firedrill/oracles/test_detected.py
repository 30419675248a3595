from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import FaultStruck
from firedrill.oracles.detected import Detected
from firedrill.oracles.oracle import Answer, Evidence
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import Collapsed

Edit = Callable[..., Evidence]


@pytest.mark.parametrize(("step", "answer", "key"), [(5, "pass", ""), (7, "pass", ""), (8, "fail", "late")])
def test_the_delay_is_counted_from_the_strike(edit: Edit, step: int, answer: str, key: str) -> None:
    finding = Detected(within=2).judge(edit(Collapsed, at=Point(step, 1)))
    assert (finding.answer, finding.key) == (answer, key)


def test_a_strike_that_nobody_noticed_fails(drop: Edit) -> None:
    finding = Detected(within=2).judge(drop(Collapsed))
    assert (finding.answer, finding.key, finding.detail) == (Answer.FAIL, "missing", "env 1: no collapse by step 7")


def test_a_collapse_before_the_strike_does_not_count(edit: Edit) -> None:
    assert Detected(within=2).judge(edit(Collapsed, at=Point(4, 1))).key == "missing"


def test_a_collapse_elsewhere_does_not_count(edit: Edit) -> None:
    assert Detected(within=2).judge(edit(Collapsed, at=Point(5, 0))).key == "missing"


@pytest.mark.parametrize(("cause", "answer"), [("non_finite", Answer.PASS), ("lobotomy", Answer.FAIL)])
def test_the_cause_must_be_the_declared_one(healed: Evidence, cause: str, answer: Answer) -> None:
    assert Detected(within=0, cause=cause).judge(healed).answer is answer


def test_a_lasting_fault_counts_from_its_first_strike(add: Edit) -> None:
    evidence = add(FaultStruck(Point(3, 1), 0, "tensor.set", "", 1, "aa", "ab", "nan"))
    assert Detected(within=1).judge(evidence).key == "late"


def test_of_several_faults_the_last_to_begin_counts(add: Edit) -> None:
    evidence = add(FaultStruck(Point(1, 1), 1, "lifecycle.fossilize", "s0", 1, "aa", "ab", ""))
    assert Detected(within=0).judge(evidence).answer is Answer.PASS


def test_every_struck_environment_must_be_noticed(add: Edit) -> None:
    evidence = add(FaultStruck(Point(5, 0), 0, "tensor.set", "", 1, "aa", "ab", "nan"))
    both = replace(evidence, claim=replace(evidence.claim, struck_envs=frozenset({0, 1})))
    assert Detected(within=1).judge(both).detail == "env 0: no collapse by step 6"


# The last batch of five is number 4.
@pytest.mark.parametrize(("batch", "batches"), [(3, 1), (0, 4), (None, 5)])
def test_the_delay_is_told_in_batches_too(edit: Edit, batch: int | None, batches: int) -> None:
    evidence = edit(FaultStruck, at=Point(5, 1, batch))
    finding = Detected(within=0).judge(replace(evidence, claim=replace(evidence.claim, batches_per_step=5)))
    assert finding.detail == f"noticed 0 steps ({batches} batches) after the strike at the latest"
