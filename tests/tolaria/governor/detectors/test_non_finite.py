import math
from dataclasses import replace
from typing import Any

import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.non_finite import NonFinite
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

DETECTOR = NonFinite(Limits(GovernorConfig(), math.log(3), 1.5 * math.log(3), math.log(3)))
GOOD = Vitals(0, 0.5, 0.5, 0.8, 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["train_loss", "val_loss", "val_accuracy", "gradient_norm"])
def test_a_number_that_is_not_finite_is_an_immediate_alarm_that_names_it(field: str, value: float) -> None:
    bad: dict[str, Any] = {field: value}
    alarm = DETECTOR.alarm(replace(GOOD, **bad), LossWindow(20))
    assert alarm is not None
    assert (alarm.cause, alarm.immediate, alarm.evidence) == ("non_finite", True, f"not finite: {field}")


@pytest.mark.parametrize("place", ["parameters", "buffers", "optimizer", "gradients"])
def test_a_place_that_is_not_finite_is_an_immediate_alarm_although_the_losses_look_well(place: str) -> None:
    alarm = DETECTOR.alarm(replace(GOOD, nonfinite=(place,)), LossWindow(20))
    assert alarm is not None
    assert (alarm.immediate, alarm.loss, alarm.evidence) == (True, 0.5, f"not finite: {place}")


def test_a_loss_that_is_no_number_is_reported_as_none() -> None:
    alarm = DETECTOR.alarm(replace(GOOD, val_loss=math.nan), LossWindow(20))
    assert alarm is not None
    assert (alarm.loss, alarm.threshold) == (None, None)


def test_a_step_without_training_has_no_gradient_norm_and_is_healthy() -> None:
    assert DETECTOR.alarm(replace(GOOD, gradient_norm=None), LossWindow(20)) is None


def test_every_place_and_every_number_that_is_not_finite_is_named() -> None:
    alarm = DETECTOR.alarm(replace(GOOD, nonfinite=("parameters", "buffers"), train_loss=math.nan), LossWindow(20))
    assert alarm is not None
    assert alarm.evidence == "not finite: parameters, buffers, train_loss"
