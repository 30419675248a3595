import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.growth_events import AlphaSearched, FossilMeasured, SeedsValued
from tolaria.telemetry.run_events import RunAborted, WarmStarted
from tolaria.train.story import BARS, sparkline, swim_lane, tell


def told(events: list[Event]) -> list[str]:
    """The lines of the story, their blanks squeezed."""
    console = Console(file=io.StringIO(), width=160, color_system=None, _environ={})
    console.print(tell(events))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.strip("│ ").split()) for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        "task digits (batch 64)",
        "policy heuristic",
        "seed 7",
        "commit 0123abc",
        "versions torch 2.13.0, tolaria 0.1.0",
        "ended as planned, at step 23",
        "s0.1 conv_light germinated 1 → training 2 → blending 5 → holding 10 → fossilized 12 (policy)",
        "s1.1 norm germinated 13 → training 15 → pruned 17 (governor: rollback)",
        "collapse at step 17: explosion, loss 40, threshold 3.5, streak 1 validation loss over threshold",
        "rollback at step 17 to snapshot 4 of step 16: the newest trusted snapshot, pruned s1 400 bytes",
        "penalties: -10 at step 17",
        "refused actions: 1, most of them advance (1)",
        "episode 0: 24 steps, return -8.800, rollbacks 1, test accuracy 90.0%, 12,345 parameters",
        "final: validation accuracy 91.1%, test accuracy 90.0%",
        "retired at step 9: rollback budget of 1 spent",
        "final: validation accuracy 10.0%, no test accuracy",
        "policy updates: 1, skipped: 1",
        "skipped: gradients are not finite (1)",
        "policy restored at step 23: entropy collapsed",
    ],
)
def test_the_story_of_an_eventful_run_tells(eventful_run: list[Event], line: str) -> None:
    assert line in told(eventful_run)


def test_the_environments_follow_each_other(eventful_run: list[Event]) -> None:
    assert [line for line in told(eventful_run) if line.startswith("environment ")] == ["environment 0", "environment 1"]


def test_a_run_that_goes_on_says_so(eventful_run: list[Event]) -> None:
    assert "ended not yet: the history goes on or was cut off" in told(eventful_run[:-1])


def test_every_beginning_of_a_run_can_be_told(eventful_run: list[Event]) -> None:
    for length in range(len(eventful_run)):
        assert told(eventful_run[:length])


def test_an_aborted_run_says_why(eventful_run: list[Event]) -> None:
    events = [*eventful_run[:-1], RunAborted(Point(23), "RollbackFailed", "no snapshot could be trusted [1]")]
    assert "ended aborted at step 23 by RollbackFailed: no snapshot could be trusted [1]" in told(events)


def test_a_sparkline_is_logarithmic() -> None:
    assert sparkline([1.0, 10.0, 100.0]) == "▁▅█"


def test_a_sparkline_of_equal_values_is_flat() -> None:
    assert sparkline([2.0, 2.0, 2.0]) == "▁▁▁"


def test_a_value_that_is_no_number_is_a_cross() -> None:
    assert sparkline([1.0, math.nan, 2.0, math.inf]) == "▁×█×"


def test_a_single_bad_step_of_a_long_run_is_seen() -> None:
    values = [1.0] * 1000
    values[505] = math.nan
    values[700] = 50.0
    assert sorted(set(sparkline(values))) == sorted("▁×█")


def test_nothing_has_no_sparkline() -> None:
    assert sparkline([]) == ""


@given(st.lists(st.floats(), max_size=200), st.integers(1, 80))
def test_any_numbers_have_a_sparkline_of_at_most_the_width(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    assert set(line) <= {*BARS, "×"}


def test_a_swim_lane_has_a_letter_under_each_bar() -> None:
    lane = [(0, Stage.DORMANT), (2, Stage.GERMINATED), (3, Stage.TRAINING), (6, Stage.PRUNED)]
    assert swim_lane(lane, range(8)).plain == "..GTTTxx"
    # In half the width each letter is that of the end of two steps.
    assert swim_lane(lane, range(8), width=4).plain == ".TTx"
    assert swim_lane(lane, []).plain == ""


def test_the_slots_of_an_environment_swim_below_its_loss(eventful_run: list[Event]) -> None:
    lines = told(eventful_run)
    (at,) = [number for number, line in enumerate(lines) if line == "environment 0"]
    loss, first, second = lines[at + 1 : at + 4]
    assert loss.startswith("loss ")
    assert first == "s0 .GTTTBBBBBHHFFFFFFFFFFFF"
    # The rollback at step 17 put its slot back to what it had been.
    assert second == "s1 .............GGTT......."


def test_what_seeds_are_worth_is_told(eventful_run: list[Event]) -> None:
    at = Point(23, 0)
    more: list[Event] = [
        AlphaSearched(Point(12, 0), "s0", 1, (1.0, 0.25, 0.5), (0.8, 0.9, 0.7), 0.5),
        AlphaSearched(Point(12, 1), "s1", 1, (1.0, 0.5), (0.8, 0.9), 1.0),
        FossilMeasured(Point(19, 0), "s0", 1, 0.02, 0.01),
        FossilMeasured(at, "s0", 1, -0.034, 0.012),
        SeedsValued(at, ("s0", "s1"), (0.25, -0.05), 0.5, 0.7, True),
        SeedsValued(Point(23, 1), ("s0",), (0.1,), 0.5, 0.6, False),
        WarmStarted(Point(0), 16, 960, 2.0, 0.2, 0.875),
    ]
    lines = told([*eventful_run, *more])
    assert "s0.1 committed at alpha 0.50: loss 0.7000 instead of 0.8000 at 1.00" in lines
    assert "s0.1 contributes -3.4 ± 1.2 points at step 23" in lines
    assert "worth at step 23: s0 +25.0, s1 -5.0, together +20.0 points of accuracy" in lines
    assert "worth at step 23: s0 +10.0, together +10.0 points of accuracy, estimated" in lines
    assert "warm start: 16 episodes of the heuristic, 88% of whose decisions it now makes" in lines
    # What stayed as strong as it was needs no line, and only the latest measurement has one.
    assert sum("committed at alpha" in line for line in lines) == 1
    assert not any("+2.0 ±" in line for line in lines)
