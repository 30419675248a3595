"""The contract of every oracle of the table, and the questions that they share."""

from dataclasses import replace
from typing import Any

import pytest

from firedrill.events import FaultStruck
from firedrill.oracles import BUNDLES, ORACLES
from firedrill.oracles.oracle import Answer, Evidence, Oracle, differing_parts, first_strikes, last_steps, restorations
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Rung
from tolaria.telemetry.growth_events import SlotRestored

PARAMETERS: dict[str, dict[str, Any]] = {
    "detected": {"within": 1},
    "recovered": {"within": 3},
    "reaches": {"test_accuracy": 0.8},
    "climbed": {"to": Rung.NEWEST, "rollbacks": 1},
}


@pytest.fixture(params=ORACLES)
def oracle(request: pytest.FixtureRequest) -> Oracle:
    return ORACLES[request.param](**PARAMETERS.get(request.param, {}))


def test_an_oracle_passes_where_everything_went_well(oracle: Oracle, healed: Evidence) -> None:
    # A rollback changes what a run tells of itself, so whoever asks for the same run has a good one only in the control run.
    good = replace(healed, faulted=healed.control) if oracle.kind == "undisturbed" else healed
    finding = oracle.judge(good)
    assert (finding.oracle, finding.answer) == (oracle.kind, Answer.PASS), finding.detail


def test_an_oracle_does_not_know_where_nothing_was_recorded(oracle: Oracle, empty: Evidence) -> None:
    assert oracle.judge(empty).answer is Answer.UNKNOWN


def test_an_oracle_is_a_frozen_value(oracle: Oracle) -> None:
    assert replace(oracle) == oracle
    assert hash(replace(oracle)) == hash(oracle)


@pytest.mark.parametrize("name", ORACLES)
def test_an_oracle_is_listed_by_its_kind(name: str) -> None:
    assert ORACLES[name].kind == name


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bundle_names_oracles_that_need_no_parameters(bundle: str) -> None:
    assert [ORACLES[name]().kind for name in BUNDLES[bundle]] == list(BUNDLES[bundle])


def test_a_strike_without_an_environment_concerns_all_that_were_meant(healed: Evidence) -> None:
    strike = FaultStruck(Point(2), 4, "reward.nan", "", 1, "a", "b", "nan")
    assert first_strikes((strike,), replace(healed.claim, struck_envs=frozenset({0, 1}))) == {0: {4: 2}, 1: {4: 2}}


def test_the_last_step_is_known_by_environment(healed: Evidence) -> None:
    until = tuple(event for event in healed.faulted if event.at.env != 0 or event.at.step < 8)
    assert last_steps(until) == {0: 7, 1: 13}


def test_a_part_that_only_one_side_has_differs() -> None:
    assert list(differing_parts({"a": "1", "b": "2"}, {"a": "1", "c": "3"})) == ["b", "c"]


def test_a_snapshot_promises_nothing_of_a_growing_seed(healed: Evidence) -> None:
    pair, *_ = restorations(healed.faulted)
    assert "host/slots.s0.seed.0.weight" not in pair.promised
    assert len(pair.promised) == 5


def test_a_snapshot_promises_growing_seeds_where_they_are_restored(healed: Evidence) -> None:
    pair, *_ = restorations(healed.faulted, "restore")
    assert "host/slots.s0.seed.0.weight" in pair.promised
    assert (len(pair.promised), pair.growing) == (6, ("s0",))


def test_a_snapshot_promises_the_tensors_of_a_fossil(healed: Evidence) -> None:
    became = SlotRestored(Point(2, 1), "s0", 1, Stage.TRAINING, Stage.FOSSILIZED)
    events: list[Event] = list(healed.faulted)
    events.insert(next(i for i, event in enumerate(events) if event.at.step == 3), became)
    pair, *_ = restorations(events)
    assert "host/slots.s0.seed.0.weight" in pair.promised
