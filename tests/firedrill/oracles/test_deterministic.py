from dataclasses import replace

import pytest

from firedrill.events import StateDigested
from firedrill.oracles.deterministic import Deterministic
from firedrill.oracles.oracle import Answer, Evidence
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.run_events import StepFinished


def again(evidence: Evidence, kind: type[Event], **fields: object) -> Evidence:
    """A second control run with other fields in step 4 of environment 1."""
    hit = [isinstance(event, kind) and event.at == Point(4, 1) for event in evidence.control]
    assert sum(hit) == 1
    return replace(
        evidence, again=tuple(replace(event, **fields) if yes else event for event, yes in zip(evidence.control, hit, strict=True))
    )


def test_a_digest_that_differs_fails_although_every_loss_is_equal(healed: Evidence) -> None:
    finding = Deterministic().judge(again(healed, StateDigested, parts=(("host", "x"),)))
    assert (finding.answer, finding.place) == (Answer.FAIL, "env 1 step 4")
    assert finding.detail.startswith("env 1 step 4: StateDigested differs in two control runs")


# The loss of that step is 0.56: 0.5656 is 1 % more, of itself a little less.
@pytest.mark.parametrize(("tolerance", "answer"), [(0.0, Answer.FAIL), (0.0099, Answer.FAIL), (0.0100, Answer.PASS)])
def test_losses_may_differ_as_far_as_is_allowed(healed: Evidence, tolerance: float, answer: Answer) -> None:
    finding = Deterministic(tolerance=tolerance).judge(again(healed, StepFinished, val_loss=0.5656))
    assert finding.answer is answer
    assert "0.0099" in finding.detail


def test_a_loss_that_is_a_number_in_one_run_only_is_beyond_every_tolerance(healed: Evidence) -> None:
    assert Deterministic(tolerance=100.0).judge(again(healed, StepFinished, val_loss=float("nan"))).answer is Answer.FAIL


def test_runs_of_other_steps_are_beyond_every_tolerance(healed: Evidence) -> None:
    cut = tuple(event for event in healed.control if event.at != Point(13, 1))
    finding = Deterministic(tolerance=100.0).judge(replace(healed, again=cut))
    assert finding.detail.endswith("their steps differ")


def test_a_control_run_that_was_made_once_says_nothing(healed: Evidence) -> None:
    assert Deterministic().judge(replace(healed, again=None)).answer is Answer.UNKNOWN
