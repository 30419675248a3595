from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import StateDigested
from firedrill.oracles.bystanders_untouched import BystandersUntouched
from firedrill.oracles.oracle import Answer, Evidence
from tolaria.telemetry.event import Point
from tolaria.telemetry.run_events import RunAborted, UpdateFinished

Edit = Callable[..., Evidence]


def test_a_bystander_that_differs_fails(edit: Edit) -> None:
    finding = BystandersUntouched().judge(edit(StateDigested, lambda e: e.at == Point(9, 0), parts=(("host", "x"), ("rng", "9"))))
    assert (finding.answer, finding.detail) == (Answer.FAIL, "env 0 step 9: host differs from the control run")


def test_a_struck_environment_may_differ(edit: Edit) -> None:
    evidence = edit(StateDigested, lambda e: e.at.env == 1, parts=(("host", "x"),))
    assert BystandersUntouched().judge(evidence).answer is Answer.PASS


def test_where_two_control_runs_differ_a_difference_from_one_says_nothing(edit: Edit) -> None:
    evidence = edit(StateDigested, lambda e: e.at == Point(9, 0), parts=(("host", "x"), ("rng", "9")))
    assert BystandersUntouched().judge(replace(evidence, again=evidence.control[1:])).answer is Answer.UNKNOWN


def test_a_bystander_that_stops_early_fails(drop: Edit) -> None:
    finding = BystandersUntouched().judge(drop(StateDigested, lambda e: e.at.env == 0 and e.at.step > 10))
    assert finding.detail == "env 0 step 11: the faulted run has no such step"


def test_a_bystander_that_vanished_altogether_fails(drop: Edit) -> None:
    assert BystandersUntouched().judge(drop(StateDigested, lambda e: e.at.env == 0)).answer is Answer.FAIL


def test_a_run_that_stopped_has_no_later_steps(drop: Edit) -> None:
    short = drop(StateDigested, lambda e: e.at.step > 10)
    stopped = replace(short, faulted=(*short.faulted, RunAborted(Point(11), "RollbackFailed", "")))
    assert BystandersUntouched().judge(stopped).answer is Answer.PASS


def test_a_run_that_stopped_is_compared_until_there(drop: Edit) -> None:
    short = drop(StateDigested, lambda e: e.at.step > 10)
    other = tuple(replace(e, parts=(("host", "x"),)) if isinstance(e, StateDigested) and e.at == Point(9, 0) else e for e in short.faulted)
    stopped = replace(short, faulted=(*other, RunAborted(Point(11), "RollbackFailed", "")))
    assert BystandersUntouched().judge(stopped).answer is Answer.FAIL


def test_where_all_were_struck_there_is_nothing_to_judge(healed: Evidence) -> None:
    everyone = replace(healed, claim=replace(healed.claim, struck_envs=frozenset({0, 1})))
    assert BystandersUntouched().judge(everyone).answer is Answer.UNKNOWN


# Struck in step 5: who learnt in step 4 learnt nothing of it, and what is decided after step 7 may be decided otherwise.
@pytest.mark.parametrize(("learnt", "answer"), [(4, Answer.FAIL), (7, Answer.PASS), (9, Answer.FAIL)])
def test_after_the_controller_has_learnt_from_a_strike_bystanders_may_differ(edit: Edit, learnt: int, answer: Answer) -> None:
    evidence = edit(StateDigested, lambda e: e.at == Point(8, 0), parts=(("host", "x"), ("rng", "8")))
    update = UpdateFinished(Point(learnt), 0.1, 0.1, 1.0, 0.0, 4, "")
    assert BystandersUntouched().judge(replace(evidence, faulted=(*evidence.faulted, update))).answer is answer


def test_a_rollout_that_ends_with_the_strike_leaves_its_steps_to_be_compared(healed: Evidence) -> None:
    update = UpdateFinished(Point(5), 0.1, 0.1, 1.0, 0.0, 4, "")
    finding = BystandersUntouched().judge(replace(healed, faulted=(*healed.faulted, update)))
    assert finding.detail == "6 steps of 1 environments byte-equal to the control run"
