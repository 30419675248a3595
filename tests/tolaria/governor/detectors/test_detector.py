import math
from dataclasses import replace

import pytest

from tolaria.errors import ConfigError
from tolaria.governor.config import DETECTOR_NAMES, GovernorConfig
from tolaria.governor.detectors import DETECTORS
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.window import LossWindow
from tolaria.vitals import Outputs, Vitals

LIMITS = Limits(GovernorConfig(), math.log(3), 1.5 * math.log(3), math.log(3))

GOOD = Vitals(12, 0.21, 0.22, 0.9, None, outputs=Outputs(0.9, 1.05, 0.36))
# They want a loss at chance.
LOBOTOMIES = ("lobotomy", "confirmed_lobotomy")
BAD = Vitals(13, 50.0, 50.0, 0.3, None, ("buffers",), Outputs(0.0, 0.1, 1.0))


@pytest.mark.parametrize("loss", [0.0, -1.0, math.nan, math.inf])
def test_limits_without_a_real_chance_loss_are_refused(loss: float) -> None:
    with pytest.raises(ConfigError, match="chance_loss"):
        Limits(GovernorConfig(), loss, 1.0, 1.0)
    with pytest.raises(ConfigError, match="explosion_loss"):
        Limits(GovernorConfig(), 1.0, loss, 1.0)
    with pytest.raises(ConfigError, match="prior_loss"):
        Limits(GovernorConfig(), 1.0, 1.0, loss)


def test_a_refused_limit_is_told_with_what_was_found_and_who_knows_better() -> None:
    with pytest.raises(ConfigError) as refused:
        Limits(GovernorConfig(), -1.0, 1.0, 1.0)
    assert str(refused.value) == "governor.chance_loss: found -1.0, expected a loss above 0, which only the task knows"


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_changes_nothing_and_says_the_same_twice(name: str) -> None:
    window = LossWindow(20)
    for _ in range(12):
        window.add(GOOD, healthy=True)
    before = window.facts()
    detector = DETECTORS[name](LIMITS)
    vitals = BAD
    assert detector.alarm(vitals, window) == detector.alarm(vitals, window)
    assert window.facts() == before


@pytest.mark.parametrize("name", DETECTORS)
def test_a_good_step_alarms_nobody(name: str) -> None:
    window = LossWindow(20)
    for _ in range(12):
        window.add(GOOD, healthy=True)
    assert DETECTORS[name](LIMITS).alarm(GOOD, window) is None


@pytest.mark.parametrize("name", DETECTORS)
def test_no_measurement_of_the_predictions_is_no_alarm(name: str) -> None:
    window = LossWindow(20)
    for _ in range(12):
        window.add(replace(GOOD, outputs=None), healthy=True)
    assert DETECTORS[name](LIMITS).alarm(replace(GOOD, outputs=None), window) is None
    assert DETECTORS[name](LIMITS).alarm(GOOD, LossWindow(20)) is None


@pytest.mark.parametrize("name", DETECTORS)
def test_a_dead_host_with_a_history_alarms_every_detector_that_is_awake(name: str) -> None:
    window = LossWindow(20)
    for _ in range(0 if name == "early_explosion" else 12):
        window.add(GOOD, healthy=True)
    for _ in range(9 if name == "slow_drift" else 0):
        window.add(BAD, healthy=False)
    for spike in (BAD, BAD, GOOD, BAD) if name == "spike_train" else ():
        window.add(spike, healthy=spike is GOOD)
    bad = replace(BAD, val_loss=math.log(3)) if name in LOBOTOMIES else BAD
    found = DETECTORS[name](LIMITS).alarm(bad, window)
    assert found is not None
    assert found.evidence
    assert found.collapse_at is None or found.collapse_at >= found.suspect_at >= 1
    assert found.cause in DETECTORS


def test_the_table_and_the_default_suite_name_the_same_detectors_in_the_same_order() -> None:
    assert tuple(DETECTORS) == DETECTOR_NAMES
