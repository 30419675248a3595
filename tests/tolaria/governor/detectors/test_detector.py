import math

import pytest

from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors import DETECTORS
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

LIMITS = Limits(GovernorConfig(), math.log(3), 1.5 * math.log(3))


@pytest.mark.parametrize("loss", [0.0, -1.0, math.nan, math.inf])
def test_limits_without_a_real_chance_loss_are_refused(loss: float) -> None:
    with pytest.raises(ConfigError, match="chance_loss"):
        Limits(GovernorConfig(), loss, 1.0)
    with pytest.raises(ConfigError, match="explosion_loss"):
        Limits(GovernorConfig(), 1.0, loss)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_changes_nothing_and_says_the_same_twice(name: str) -> None:
    window = LossWindow(20)
    for _ in range(12):
        window.add(0.2, healthy=True)
    before = window.facts()
    detector = DETECTORS[name](LIMITS)
    vitals = Vitals(12, 50.0, math.log(3), 0.3, None, ("buffers",))
    assert detector.alarm(vitals, window) == detector.alarm(vitals, window)
    assert window.facts() == before


@pytest.mark.parametrize("name", DETECTORS)
def test_a_good_step_alarms_nobody(name: str) -> None:
    window = LossWindow(20)
    for _ in range(12):
        window.add(0.2, healthy=True)
    assert DETECTORS[name](LIMITS).alarm(Vitals(12, 0.21, 0.22, 0.9, None), window) is None
