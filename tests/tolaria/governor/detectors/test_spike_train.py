"""Three spikes out of five losses, this one among them, and not in a row."""

import math
from typing import Any

import pytest

from tolaria.governor.verdict import Alarm

LOSSES = {".": 0.1, "!": 9.0, "=": 1.5, "?": math.nan}


@pytest.mark.parametrize(
    ("before", "noticed"),
    [
        ("!.!.", True),
        ("!!..", True),
        (".!.!", True),
        ("!..!", True),
        ("..!!", False),
        ("!.!!", False),
        ("...!", False),
        ("!...!", False),
        ("..?!", True),
        ("=.!.", False),
        # What lies on the threshold is no spike, and no link of a row.
        ("!.=!", True),
    ],
)
def test_three_spikes_out_of_five_are_a_train_unless_three_are_in_a_row(
    alarm: Any, window_of: Any, vitals: Any, before: str, noticed: bool
) -> None:
    window = window_of([vitals(0.1)] * 10, [vitals(LOSSES[sign]) for sign in before])
    assert (alarm("spike_train", vitals(9.0), window) is not None) == noticed


@pytest.mark.parametrize("loss", [0.1, 1.5])
def test_a_step_that_is_no_spike_is_no_alarm(alarm: Any, window_of: Any, vitals: Any, loss: float) -> None:
    window = window_of([vitals(0.1)] * 10, [vitals(LOSSES[sign]) for sign in "!.!."])
    assert alarm("spike_train", vitals(loss), window) is None


@pytest.mark.parametrize(("before", "noticed"), [("!.", True), (".!", False), ("!..", False), ("..", False)])
def test_with_two_strikes_it_is_two_out_of_three(alarm: Any, window_of: Any, vitals: Any, before: str, noticed: bool) -> None:
    window = window_of([vitals(0.1)] * 10, [vitals(LOSSES[sign]) for sign in before])
    assert (alarm("spike_train", vitals(9.0), window, strikes=2) is not None) == noticed


def test_with_one_strike_every_spike_is_an_explosion_already(alarm: Any, window_of: Any, vitals: Any) -> None:
    assert alarm("spike_train", vitals(9.0), window_of([vitals(0.1)] * 10, [vitals(9.0), vitals(0.1)]), strikes=1) is None


def test_it_is_a_collapse_at_once_and_says_how_many(alarm: Any, window_of: Any, vitals: Any) -> None:
    window = window_of([vitals(0.1)] * 10, [vitals(LOSSES[sign]) for sign in "!.!."])
    assert alarm("spike_train", vitals(9.0), window) == Alarm("spike_train", 1, 9.0, 1.5, "3 of 5 losses above 1.5")
