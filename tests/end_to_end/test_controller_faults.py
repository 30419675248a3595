"""What strikes the controller costs a rollout and never the policy: the scenarios' own runs, read update by update."""

from pathlib import Path

import pytest

from firedrill.runner.cell import run
from firedrill.runner.plan import config_of
from firedrill.scenario.cell import cells
from firedrill.scenario.load import load
from tolaria.telemetry.event import Event
from tolaria.telemetry.run_events import RunAborted, RunFinished, UpdateFinished

SCENARIOS = Path(__file__).parents[2] / "scenarios" / "controller"


def events_of(name: str, folder: Path) -> list[Event]:
    cell = cells(load(SCENARIOS / f"{name}.yaml"))[0]
    return run(cell, config_of(cell), folder / "faulted.jsonl", cell.scenario.faults)[0]


@pytest.mark.parametrize("name", ["logits-not-finite", "value-not-finite", "advantage-not-finite"])
def test_the_struck_rollout_is_skipped_and_the_next_ones_teach(name: str, tmp_path: Path) -> None:
    events = events_of(name, tmp_path)
    updates = [event for event in events if isinstance(event, UpdateFinished)]
    assert [update.skipped for update in updates] == ["a loss is not finite", "", ""]
    assert [update.epochs > 0 for update in updates] == [False, True, True]
    assert any(isinstance(event, RunFinished) for event in events)


def test_a_broken_sensor_skips_no_update(tmp_path: Path) -> None:
    updates = [event for event in events_of("sensor-broken", tmp_path) if isinstance(event, UpdateFinished)]
    assert [update.skipped for update in updates] == ["", "", ""]


def test_a_reward_that_is_no_number_is_refused_by_name(tmp_path: Path) -> None:
    (abort,) = [event for event in events_of("reward-not-finite", tmp_path) if isinstance(event, RunAborted)]
    assert abort.error.endswith("NonFiniteReward")
