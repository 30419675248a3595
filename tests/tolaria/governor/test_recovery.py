"""A host without its seed is compared with what it was right after the rollback."""

from dataclasses import replace

import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.recovery import Recovery
from tolaria.telemetry.governor_events import Probe
from tolaria.vitals import Outputs, Vitals

# The absolute gate is 1.65, and below 0.055 nats there was nothing to lose.
RECOVERY = Recovery(Limits(GovernorConfig(), 1.1, 1.65, 1.1))
VITALS = Vitals(0, 0.8, 0.8, 0.6, 1.0, outputs=Outputs(0.4, 1.05, 0.4))


@pytest.mark.parametrize(("probed", "loss", "threshold"), [(0.8, 2.41, 2.4), (0.2, 1.66, 1.65), (0.8, 2.39, None), (0.2, 1.64, None)])
def test_a_loss_over_both_gates_is_an_alarm_the_second_of_which_is_a_collapse(probed: float, loss: float, threshold: float | None) -> None:
    alarm = RECOVERY.alarm(replace(VITALS, val_loss=loss), Probe(probed, 0.4))
    assert (None if alarm is None else alarm.threshold) == pytest.approx(threshold)
    assert alarm is None or alarm.collapse_at == 2


@pytest.mark.parametrize(("probed", "now", "alarmed"), [(0.4, 0.09, True), (0.4, 0.11, False), (0.054, 0.0, False), (0.056, 0.0, True)])
def test_answers_that_say_a_quarter_of_what_they_said_are_an_alarm(probed: float, now: float, alarmed: bool) -> None:
    vitals = replace(VITALS, outputs=Outputs(now, 1.05, 0.4))
    assert (RECOVERY.alarm(vitals, Probe(0.8, probed)) is not None) is alarmed


def test_a_loss_that_is_no_number_and_answers_that_nobody_saw_are_left_to_others() -> None:
    assert RECOVERY.alarm(replace(VITALS, val_loss=float("nan")), Probe(0.8, 0.4)) is None
    assert RECOVERY.alarm(replace(VITALS, outputs=None), Probe(0.8, 0.4)) is None
