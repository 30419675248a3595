from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from firedrill.events import FaultStruck
from firedrill.oracles import BUNDLES, ORACLES
from firedrill.oracles.detected import Detected
from firedrill.oracles.oracle import Answer, Evidence, Finding
from firedrill.oracles.penalized import Penalized
from firedrill.oracles.state_restored import StateRestored
from firedrill.oracles.twin import Twin
from firedrill.oracles.witnessed import Witnessed
from firedrill.runner.judge import fits, judge
from firedrill.runner.verdict import End, Ending, Verdict
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import PenaltyDelivered

Edit = Callable[..., Evidence]

CORE = [ORACLES[name]() for name in BUNDLES["core"]]


def expecting(*verdicts: Verdict) -> frozenset[Verdict]:
    return frozenset(verdicts)


def test_an_expected_recovery_passes(healed: Evidence) -> None:
    judgement = judge(healed, [*CORE, Detected(within=0)], expecting(Verdict.RECOVERED), Ending())
    assert (judgement.verdict, judgement.passed, len(judgement.findings)) == (Verdict.RECOVERED, True, 9)


def test_another_verdict_than_the_expected_fails(healed: Evidence) -> None:
    assert not judge(healed, CORE, expecting(Verdict.MASKED), Ending()).passed


def test_a_recovery_with_an_unknown_answer_is_not_green(healed: Evidence) -> None:
    judgement = judge(replace(healed, twin=()), [Twin()], expecting(Verdict.RECOVERED), Ending())
    assert (judgement.verdict, judgement.passed) == (Verdict.RECOVERED, False)


def test_a_recovery_with_a_failed_answer_is_not_green(healed: Evidence) -> None:
    judgement = judge(healed, [Detected(within=0, cause="lobotomy")], expecting(Verdict.RECOVERED), Ending())
    assert (judgement.verdict, judgement.passed) == (Verdict.RECOVERED, False)


def test_a_masked_strike_needs_no_rollback_to_judge(healed: Evidence) -> None:
    strike = FaultStruck(Point(5, 1), 0, "tensor.set", "", 1, "aa", "ab", "0")
    evidence = replace(healed, faulted=(*healed.control, strike), counterfactual=healed.control)
    judgement = judge(evidence, [Witnessed(), StateRestored()], expecting(Verdict.MASKED), Ending())
    assert ([finding.answer for finding in judgement.findings], judgement.passed) == ([Answer.PASS, Answer.UNKNOWN], True)


def test_a_positive_control_passes_by_the_oracle_that_saw_it(drop: Edit) -> None:
    judgement = judge(drop(PenaltyDelivered), [Witnessed(), Penalized()], expecting(Verdict.WRONG_RECOVERY), Ending())
    assert ([finding.answer for finding in judgement.findings], judgement.passed) == ([Answer.PASS, Answer.FAIL], True)


@pytest.mark.parametrize(
    ("shown", "answers"),
    [
        (Verdict.RECOVERED, [Answer.PASS]),
        (Verdict.MASKED, [Answer.PASS, Answer.UNKNOWN]),
        (Verdict.FAIL_STOP, [Answer.PASS, Answer.UNKNOWN]),
        (Verdict.MISSED, [Answer.PASS, Answer.FAIL, Answer.UNKNOWN]),
    ],
)
def test_a_verdict_admits_these_answers(shown: Verdict, answers: Sequence[Answer]) -> None:
    assert [answer for answer in Answer if fits(Finding("told", answer, "", ""), shown)] == answers


@pytest.mark.parametrize("answer", [Answer.FAIL, Answer.UNKNOWN])
def test_a_positive_control_that_did_not_strike_as_declared_proves_nothing(answer: Answer) -> None:
    assert not fits(Finding("witnessed", answer, "", ""), Verdict.MISSED)


@pytest.mark.parametrize("how", [End.NOT_RUN, End.HARNESS_FAILED])
def test_a_cell_that_shows_nothing_never_passes(empty: Evidence, how: End) -> None:
    everything = frozenset(Verdict)
    assert not judge(empty, [], everything, Ending(how)).passed
