"""Before there are ten clean samples the gate is the absolute one or three times chance."""

import math
from typing import Any

import pytest

from tolaria.governor.verdict import Alarm


@pytest.mark.parametrize(("loss", "noticed"), [(2.9, False), (3.0, False), (3.1, True), (math.nan, True)])
def test_three_times_chance_is_the_border(alarm: Any, window_of: Any, vitals: Any, loss: float, noticed: bool) -> None:
    assert (alarm("early_explosion", vitals(loss), window_of([])) is not None) == noticed


def test_a_higher_absolute_gate_is_the_border_instead(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("early_explosion", vitals(4.0), window_of([]), explosion_loss=4.0) is None
    assert alarm("early_explosion", vitals(4.1), window_of([]), explosion_loss=4.0) is not None


def test_it_sleeps_from_the_tenth_clean_step_on(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("early_explosion", vitals(9.0), window_of([vitals()] * 9)) is not None
    assert alarm("early_explosion", vitals(9.0), window_of([vitals()] * 10)) is None


def test_it_is_an_explosion_whose_strikes_are_counted(alarm: Any, window_of: Any, vitals: Any) -> None:
    found = alarm("early_explosion", vitals(3.5), window_of([]), strikes=4)
    assert found == Alarm("loss_explosion", 4, 3.5, 3.0, "loss 3.5 above 3 in the first steps of a life")


def test_the_gate_grows_with_chance(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("early_explosion", vitals(6.1), window_of([]), chance_loss=2.0).threshold == 6.0
