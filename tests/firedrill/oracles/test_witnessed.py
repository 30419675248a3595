from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import FaultStruck
from firedrill.oracles.oracle import Answer, Evidence
from firedrill.oracles.witnessed import Witnessed
from tolaria.telemetry.event import Point

Edit = Callable[..., Evidence]

AGAIN = FaultStruck(Point(6, 1), 0, "tensor.set", "host/head.weight[0]", 1, "aa", "ab", "nan")


def test_a_strike_that_changed_nothing_fails(edit: Edit) -> None:
    finding = Witnessed().judge(edit(FaultStruck, digest_after="aa"))
    assert (finding.answer, finding.detail) == (Answer.FAIL, "env 1 step 5: tensor.set changed nothing in host/head.weight[0]")


def test_a_strike_too_many_fails(add: Edit) -> None:
    finding = Witnessed().judge(add(AGAIN))
    assert (finding.answer, finding.detail) == (Answer.FAIL, "fault 0: tensor.set struck 2 times, not 1 times")


@pytest.mark.parametrize("more", [(), (AGAIN,)])
def test_an_unlimited_fault_may_strike_any_number_of_times(add: Edit, more: tuple[FaultStruck, ...]) -> None:
    evidence = add(*more)
    unlimited = replace(evidence, claim=replace(evidence.claim, declared_strikes=(None,)))
    assert Witnessed().judge(unlimited).answer is Answer.PASS


def test_a_second_fault_that_never_struck_fails(healed: Evidence) -> None:
    two = replace(healed.claim, declared_strikes=(1, None), fault_kinds=("tensor.set", "grad.explode"))
    finding = Witnessed().judge(replace(healed, claim=two))
    assert finding.detail == "fault 1: grad.explode struck 0 times, not at least once"


@pytest.mark.parametrize(("meant", "answer"), [("weights_updated", Answer.PASS), ("step_begun", Answer.FAIL)])
def test_a_strike_at_another_seam_fails(edit: Edit, meant: str, answer: Answer) -> None:
    evidence = edit(FaultStruck, phase="weights_updated")
    assert Witnessed().judge(replace(evidence, claim=replace(evidence.claim, fault_phases=(meant,)))).answer is answer
