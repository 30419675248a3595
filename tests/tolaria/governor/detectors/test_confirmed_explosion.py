"""An explosion by the loss alone, unless the answers contradict it."""

from typing import Any

import pytest

from tolaria.governor.verdict import Alarm
from tolaria.vitals import Outputs


@pytest.mark.parametrize(("information", "in_a_row"), [(0.4, 4), (0.41, 8)])
def test_twice_as_many_strikes_are_asked_for_where_the_answers_say_as_much_as_ever(
    alarm: Any, window_of: Any, vitals: Any, information: float, in_a_row: int
) -> None:
    now = vitals(2.5, outputs=Outputs(information, 1.0, 0.4))
    found = alarm("confirmed_explosion", now, window_of([vitals(0.3)] * 10), strikes=4)
    assert found == Alarm("loss_explosion", in_a_row, 2.5, 1.5, "loss 2.5 above 1.5")


@pytest.mark.parametrize(("loss", "in_a_row"), [(3.0, 6), (3.01, 3)])
def test_losses_that_are_too_high_for_such_answers_are_believed(
    alarm: Any, window_of: Any, vitals: Any, loss: float, in_a_row: int
) -> None:
    window = window_of([vitals(0.3)] * 10, [vitals(3.0)] * 2)
    assert alarm("confirmed_explosion", vitals(loss), window).collapse_at == in_a_row


def test_where_nobody_looked_at_the_answers_the_classic_rule_stands(alarm: Any, window_of: Any, vitals: Any) -> None:
    window = window_of([vitals(0.3, outputs=None)] * 10)
    now = vitals(2.5, outputs=None)
    assert alarm("confirmed_explosion", now, window) == alarm("loss_explosion", now, window)


@pytest.mark.parametrize(("loss", "noticed"), [(1.5, False), (1.51, True)])
def test_what_is_no_explosion_is_none_here(alarm: Any, window_of: Any, vitals: Any, loss: float, noticed: bool) -> None:
    assert (alarm("confirmed_explosion", vitals(loss), window_of([vitals(0.3)] * 10)) is not None) == noticed
