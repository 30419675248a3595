import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.governor.window import LossWindow, Statistics

FINITE = st.floats(0.0, 100.0)
ANY = st.floats(allow_nan=True, allow_infinity=True)


def filled(*losses: float) -> LossWindow:
    window = LossWindow(20)
    for loss in losses:
        window.add(loss, healthy=True)
    return window


def test_statistics_are_the_mean_and_the_population_deviation() -> None:
    assert filled(1.0, 2.0, 3.0, 6.0).statistics() == Statistics(3.0, math.sqrt(3.5), 4)


def test_an_empty_window_has_no_statistics() -> None:
    assert LossWindow(20).statistics() is None


def test_only_the_latest_losses_count() -> None:
    window = LossWindow(10)
    for loss in (100.0,) * 5 + (2.0,) * 10:
        window.add(loss, healthy=True)
    assert window.statistics() == Statistics(2.0, 0.0, 10)


@given(st.lists(st.tuples(FINITE, st.booleans()), max_size=60))
def test_anomalies_leave_the_healthy_statistics_clean_and_are_kept_for_the_report(trace: list[tuple[float, bool]]) -> None:
    window = LossWindow(20)
    for loss, healthy in trace:
        window.add(loss, healthy)
    assert window.statistics() == filled(*(loss for loss, healthy in trace if healthy)).statistics()
    assert window.recent == tuple(loss for loss, _ in trace)[-20:]


@given(st.lists(ANY, max_size=30))
def test_a_report_never_holds_nan(losses: list[float]) -> None:
    window = LossWindow(20)
    for loss in losses:
        window.add(loss, healthy=False)
    assert all(loss is None or math.isfinite(loss) for loss in window.recent)


def test_nan_cannot_be_a_healthy_loss() -> None:
    with pytest.raises(AssertionError):
        LossWindow(20).add(math.nan, healthy=True)


def test_a_fresh_baseline_keeps_what_is_reported() -> None:
    window = filled(1.0, 2.0)
    window.begin_anew()
    assert window.statistics() is None
    assert window.recent == (1.0, 2.0)


@given(st.lists(st.tuples(FINITE, st.booleans()), max_size=40), st.lists(FINITE, max_size=25))
def test_a_window_goes_on_from_its_facts_as_if_nothing_had_been(trace: list[tuple[float, bool]], more: list[float]) -> None:
    window, resumed = LossWindow(20), filled(7.0, 8.0)
    for loss, healthy in trace:
        window.add(loss, healthy)
    resumed.restore(json.loads(json.dumps(window.facts())))
    for loss in more:
        window.add(loss, healthy=True)
        resumed.add(loss, healthy=True)
    assert (resumed.statistics(), resumed.facts()) == (window.statistics(), window.facts())
