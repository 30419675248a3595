from dataclasses import replace

import pytest

from firedrill.oracles.oracle import Answer, Evidence
from firedrill.oracles.quiet import Quiet
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Collapsed, Suspected


@pytest.mark.parametrize("alarm", [Suspected(Point(4, 0), "loss", 3.0, 2.0, 1), Collapsed(Point(4, 0), "loss", 3.0, 2.0, 3, "")])
def test_an_alarm_in_the_control_run_fails(healed: Evidence, alarm: Event) -> None:
    finding = Quiet().judge(replace(healed, control=(*healed.control, alarm)))
    assert (finding.answer, finding.place) == (Answer.FAIL, "env 0 step 4")


def test_the_bound_follows_the_rule_of_three(healed: Evidence) -> None:
    # Two environments of fourteen steps: 3 / 28.
    assert Quiet().judge(healed).detail == "no alarm in 28 steps: at most 0.11 a step (95 %)"
