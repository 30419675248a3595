import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.skill_lost import SkillLost
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# Prior loss 1: unskilled above 0.9, skilled below a mean of 0.6.
DETECTOR = SkillLost(Limits(GovernorConfig(), 1.0, 1.5, 1.0))


@pytest.mark.parametrize(
    ("usual", "loss", "alarmed"),
    [
        (0.3, 0.901, True),
        (0.3, 0.9, False),
        (0.59, 1.181, True),
        # Half as high again is what a blend may do to a host that was never far below the prior loss.
        (0.59, 1.179, False),
        (0.6, 5.0, False),
    ],
)
def test_a_skill_is_lost_above_the_prior_loss_and_twice_the_usual_one(usual: float, loss: float, alarmed: bool) -> None:
    window = LossWindow(20)
    for _ in range(10):
        window.add(Vitals(0, usual, usual, 0.5, 1.0), healthy=True)
    assert (DETECTOR.alarm(Vitals(10, loss, loss, 0.5, 1.0), window) is not None) == alarmed
