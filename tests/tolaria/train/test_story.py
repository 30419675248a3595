import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.run_events import RunAborted
from tolaria.train.story import BARS, sparkline, tell


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
