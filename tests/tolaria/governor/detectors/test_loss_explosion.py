import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.loss_explosion import LossExplosion
from tolaria.governor.window import LossWindow
from tolaria.tasks import TASKS
from tolaria.vitals import Vitals

# Chance loss 1, absolute gate 1.5: all thresholds can be worked out by hand.
DETECTOR = LossExplosion(Limits(GovernorConfig(), 1.0, 1.5, 1.0))


def window_of(*losses: float) -> LossWindow:
    window = LossWindow(20)
    for loss in losses:
        window.add(Vitals(0, 0.1, loss, 0.5, 1.0), healthy=True)
    return window


def is_alarmed(loss: float, window: LossWindow) -> bool:
    return DETECTOR.alarm(Vitals(0, 0.1, loss, 0.5, 1.0), window) is not None


@pytest.mark.parametrize(
    ("window", "threshold"),
    [
        (window_of(*[0.1] * 10), 1.5),
        (window_of(*[0.8] * 10), 2.4),
        (window_of(*[0.5, 1.5] * 5), 4.0),
    ],
    ids=["absolute gate", "three times the mean", "mean and six deviations"],
)
def test_the_highest_gate_decides(window: LossWindow, threshold: float) -> None:
    assert DETECTOR.threshold(window) == pytest.approx(threshold, abs=1e-12)
    assert is_alarmed(threshold + 1e-9, window)
    assert not is_alarmed(threshold - 1e-9, window)


def test_the_absolute_gate_is_the_tasks_where_it_says_so() -> None:
    detector = LossExplosion(Limits(GovernorConfig(), 1.0, 12.0, 1.0))
    assert detector.threshold(window_of(*[0.1] * 10)) == 12.0


@pytest.mark.parametrize("name", TASKS)
def test_an_explosion_from_a_half_to_twelve_is_seen_in_every_task(name: str) -> None:
    task = TASKS[name]()
    detector = LossExplosion(Limits(GovernorConfig(), task.chance_loss, task.explosion_loss, task.chance_loss))
    assert detector.alarm(Vitals(0, 0.1, 11.9, 0.5, 1.0), window_of(*[0.5] * 12)) is not None


def test_nan_is_above_every_threshold() -> None:
    assert is_alarmed(math.nan, window_of(*[0.1] * 10))


def test_threshold_is_computed_in_one_place_and_reported_as_judged() -> None:
    window = window_of(*[0.8] * 10)
    alarm = DETECTOR.alarm(Vitals(10, 0.1, 5.0, 0.5, 1.0), window)
    assert alarm is not None
    assert (alarm.cause, alarm.immediate, alarm.loss) == ("loss_explosion", False, 5.0)
    assert alarm.threshold == DETECTOR.threshold(window)
    assert (alarm.evidence, alarm.collapse_at) == ("loss 5 above 2.4", 3)


def test_a_loss_on_the_threshold_is_no_explosion() -> None:
    assert not is_alarmed(1.5, window_of(*[0.1] * 10))


@pytest.mark.parametrize("samples", [0, 9])
def test_too_few_samples_are_no_reason_for_an_alarm(samples: int) -> None:
    window = window_of(*[0.1] * samples)
    assert DETECTOR.threshold(window) is None
    assert not is_alarmed(1e9, window)


@given(st.lists(st.floats(0.0, 100.0), min_size=10, max_size=30))
def test_no_history_lowers_the_threshold_below_the_absolute_gate(losses: list[float]) -> None:
    threshold = DETECTOR.threshold(window_of(*losses))
    assert threshold is not None
    assert threshold >= 1.5
