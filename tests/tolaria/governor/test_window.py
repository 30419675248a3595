import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.governor.clean import Statistics
from tolaria.governor.window import LossWindow
from tolaria.vitals import Outputs, Vitals

FINITE = st.floats(0.0, 100.0)
ANY = st.floats(allow_nan=True, allow_infinity=True)


def vitals(loss: float) -> Vitals:
    return Vitals(0, loss, loss, 0.5, 1.0, outputs=Outputs(0.3, 1.0, 0.4))


def filled(*losses: float) -> LossWindow:
    window = LossWindow(20)
    for loss in losses:
        window.add(vitals(loss), healthy=True)
    return window


def test_statistics_are_the_mean_and_the_population_deviation() -> None:
    assert filled(1.0, 2.0, 3.0, 6.0).statistics() == Statistics(3.0, math.sqrt(3.5), 4)


def test_an_empty_window_has_no_statistics() -> None:
    assert LossWindow(20).statistics() is None


def test_only_the_latest_losses_count() -> None:
    window = LossWindow(10)
    for loss in (100.0,) * 5 + (2.0,) * 10:
        window.add(vitals(loss), healthy=True)
    assert window.statistics() == Statistics(2.0, 0.0, 10)


@given(st.lists(st.tuples(FINITE, st.booleans()), max_size=60))
def test_anomalies_leave_the_healthy_statistics_clean_and_are_kept_for_the_report(trace: list[tuple[float, bool]]) -> None:
    window = LossWindow(20)
    for loss, healthy in trace:
        window.add(vitals(loss), healthy)
    assert window.statistics() == filled(*(loss for loss, healthy in trace if healthy)).statistics()
    assert window.recent == tuple(loss for loss, _ in trace)[-20:]


@given(st.lists(ANY, max_size=30))
def test_a_report_never_holds_nan(losses: list[float]) -> None:
    window = LossWindow(20)
    for loss in losses:
        window.add(vitals(loss), healthy=False)
    assert all(loss is None or math.isfinite(loss) for loss in window.recent)


def test_nan_cannot_be_a_healthy_loss() -> None:
    with pytest.raises(AssertionError):
        LossWindow(20).add(vitals(math.nan), healthy=True)


def test_a_fresh_baseline_keeps_what_is_reported() -> None:
    window = filled(1.0, 2.0)
    window.begin_anew()
    assert window.statistics() is None
    assert window.recent == (1.0, 2.0)


@given(st.lists(st.tuples(FINITE, st.booleans()), max_size=40), st.lists(FINITE, max_size=25))
def test_a_window_goes_on_from_its_facts_as_if_nothing_had_been(trace: list[tuple[float, bool]], more: list[float]) -> None:
    window, resumed = LossWindow(20), filled(7.0, 8.0)
    for loss, healthy in trace:
        window.add(vitals(loss), healthy)
    resumed.restore(json.loads(json.dumps(window.facts())))
    for loss in more:
        window.add(vitals(loss), healthy=True)
        resumed.add(vitals(loss), healthy=True)
    assert (resumed.statistics(), resumed.facts()) == (window.statistics(), window.facts())


def test_the_best_level_is_the_lowest_median_of_ten_in_a_row_and_survives_worse_ones() -> None:
    window = filled(*[1.0] * 9)
    assert window.best is None
    for loss in [1.0] + [0.5] * 5:
        window.add(vitals(loss), healthy=True)
    assert window.best == 0.75
    for _ in range(40):
        window.add(vitals(3.0), healthy=True)
    assert window.best == 0.75


def test_an_accepted_level_keeps_the_best_one_and_a_fresh_baseline_does_not() -> None:
    window = filled(*[0.5] * 12)
    window.accept()
    assert (window.statistics(), window.best) == (None, 0.5)
    window.begin_anew()
    assert window.best is None


def test_accuracies_and_outputs_are_those_of_clean_steps() -> None:
    window = filled(1.0)
    window.add(Vitals(1, 9.0, 9.0, 0.1, 1.0, outputs=Outputs(0.0, 1.0, 1.0)), healthy=False)
    window.add(Vitals(2, 1.0, 1.0, 0.6, 1.0), healthy=True)
    assert window.clean.accuracies == (0.5, 0.6)
    assert window.clean.outputs == (Outputs(0.3, 1.0, 0.4),)


def test_the_latest_twenty_losses_are_kept_for_the_report() -> None:
    window = LossWindow(5)
    for loss in range(25):
        window.add(vitals(float(loss)), healthy=loss % 2 == 0)
    assert window.recent == tuple(map(float, range(5, 25)))
    window.restore(json.loads(json.dumps(window.facts())))
    window.add(vitals(25.0), healthy=True)
    assert window.recent == tuple(map(float, range(6, 26)))


def test_what_is_known_of_predictions_goes_through_facts_where_there_is_any() -> None:
    window, resumed = filled(1.0), LossWindow(20)
    window.add(Vitals(1, 1.0, 1.0, 0.6, 1.0), healthy=True)
    resumed.restore(json.loads(json.dumps(window.facts())))
    assert resumed.clean.outputs == (Outputs(0.3, 1.0, 0.4),)
    assert resumed.clean.accuracies == (0.5, 0.6)
