import math
from dataclasses import replace

import numpy as np
import pytest

from tolaria.envelope.measure import Cell, FalseAlarms, Suite, false_alarms, gained, measure, slower
from tolaria.envelope.streams import Stream
from tolaria.governor.config import GovernorConfig
from tolaria.vitals import Vitals

CELL = Cell("step", 2.0, "x L0", "good", 8, 8, 1.0, 2, "skill_lost")


@pytest.fixture(scope="module")
def streams() -> list[Stream]:
    rng = np.random.default_rng(0)
    losses = [np.exp(-step / 40) * np.exp(0.05 * rng.standard_normal()) for step in range(160)]
    return [Stream("spirals", 0, 0, tuple(Vitals(step, loss, loss, 0.5, 1.0) for step, loss in enumerate(losses)))]


def healthy(streams: list[Stream]) -> list[tuple[str, tuple[Vitals, ...]]]:
    return [(one.task, one.vitals) for one in streams]


def test_the_default_suite_is_nowhere_slower_than_the_classic_one_and_catches_more(streams: list[Stream]) -> None:
    classic_config = GovernorConfig(detectors="classic")
    suites = {"default": Suite(GovernorConfig()), "classic": Suite(classic_config), "gated": Suite(classic_config, 12.0)}
    found = measure(suites, streams, 0)
    default = found["default"]
    for classic in (found["classic"], found["gated"]):
        assert slower(default, classic) == []
        more = gained(default, classic)
        assert ("drift", "1.02", "0.4 nats, 10 classes") in more
        assert ("spike train", "5.168", "good, 10 classes") in more
        assert ("uniform output", "1", "poor, 10 classes") in more
        assert ("uniform output", "1", "0.65 of L0, imbalanced") in more
    assert ("step", "5.168", "0.4 nats, 10 classes") in more


def test_a_healthy_stream_alarms_neither_suite(streams: list[Stream]) -> None:
    found = false_alarms({"default": GovernorConfig()}, healthy(streams))["default"]
    assert (found.steps, found.collapses) == (160, 0)
    assert found.bound == pytest.approx(2.996 / 160, rel=1e-3)


def test_an_alarm_on_a_stream_is_counted_by_its_cause(streams: list[Stream]) -> None:
    vitals = streams[0].vitals
    bad = (*vitals[:50], replace(vitals[50], val_loss=math.nan), *vitals[51:])
    found = false_alarms(
        {"default": GovernorConfig(), "classic": GovernorConfig(detectors="classic")}, [("spirals", bad), ("spirals", bad)]
    )
    assert {name: (one.streams, one.steps, one.causes) for name, one in found.items()} == {
        "default": (2, 320, (("non_finite", 2),)),
        "classic": (2, 320, (("non_finite", 2),)),
    }


def test_later_or_less_often_is_slower_and_endless_is_slower_than_anything() -> None:
    assert slower([CELL], [CELL]) == []
    assert slower([replace(CELL, delay=2.0)], [CELL]) == [CELL.key]
    assert slower([replace(CELL, noticed=7)], [CELL]) == [CELL.key]
    assert slower([replace(CELL, delay=None, noticed=0)], [replace(CELL, delay=None, noticed=0)]) == []


def test_what_was_missed_in_a_trial_and_is_always_caught_now_is_gained() -> None:
    assert gained([CELL], [replace(CELL, noticed=7)]) == [CELL.key]
    assert gained([CELL], [CELL]) == []


# From a table of exact Poisson limits: the mean at which so few come in one case of twenty.
@pytest.mark.parametrize(("alarms", "mean"), [(0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962)])
def test_the_bound_is_the_rate_at_which_so_few_alarms_come_once_in_twenty_cases(alarms: int, mean: float) -> None:
    assert FalseAlarms(1, 1000, alarms, 0, ()).bound == pytest.approx(mean / 1000, abs=1e-6)
