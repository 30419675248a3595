import shutil
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.events import FaultStruck, RunResumed, StateDigested, StateLeft
from firedrill.runner import cell as recording
from firedrill.runner.folder import COUNTERFACTUAL, FAULTED, events_of
from firedrill.runner.inject import Injector
from firedrill.runner.observe import Observer
from firedrill.runner.plan import config_of
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load
from firedrill.scenario.starter import starter
from tolaria.seams import ROLLBACK_COPYING, SNAPSHOT_COPYING, STEP_FINISHED
from tolaria.telemetry.codec import to_line
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import EnvironmentRetired
from tolaria.telemetry.history import read
from tolaria.telemetry.run_events import RunAborted, StepFinished, StorageFailed


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A cell with half a minute of time."""
    path = tmp_path / "scenarios" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(starter("mine"), encoding="utf-8")
    scenario = load(path)
    return cells(replace(scenario, budget=replace(scenario.budget, wall=29.5)))[0]


def test_a_child_leaves_ctrl_c_to_its_parent_and_does_not_outlive_it_for_long(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interruptions: list[object] = []
    alarms: list[int] = []
    monkeypatch.setattr(recording, "record", lambda *_: interruptions.append(signal.getsignal(signal.SIGINT)))
    # Not a real one, which would be taken from the watchdog of the tests.
    monkeypatch.setattr(signal, "alarm", alarms.append)
    before = signal.getsignal(signal.SIGINT)
    try:
        recording.record_apart(cell, tmp_path, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert interruptions == [signal.SIG_IGN]
    assert alarms == [40]


def test_a_harness_listens_at_single_copies_only_where_it_strikes_there(cell: Cell) -> None:
    (planned, *_) = cell.scenario.faults
    copying = replace(planned, at=replace(planned.at, phase=ROLLBACK_COPYING.name))
    for faults, heard in (((planned,), {STEP_FINISHED}), ((copying,), {STEP_FINISHED, ROLLBACK_COPYING})):
        harness = recording.Harness(Injector(faults, 0, print), Observer(print, 0))
        assert {seam for seam in (STEP_FINISHED, SNAPSHOT_COPYING, ROLLBACK_COPYING) if harness.hears(seam)} == heard


STORED = """\
version: 1
name: mine
because: A run that lost its process goes on from its newest checkpoint.
subject: {seed: 11, envs: 2, steps: 8, batches_per_step: 1, rollout_steps: 8, checkpoint_every: 3}
faults:
  - {at: {step: 5, env: 1}, do: env.stall, with: {seconds: 0.001}}
  - {at: {step: 6}, do: io.eio, with: {operation: fsync}}
expect: [witnessed]
budget: {resumes: 1}
"""


@pytest.fixture
def stored(tmp_path: Path) -> Cell:
    """A cell whose run stores checkpoints at steps 0, 3 and 6, the last of which fails."""
    path = tmp_path / "scenarios" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(STORED, encoding="utf-8")
    return cells(load(path))[0]


def cut_off(path: Path, step: int) -> list[Event]:
    """Leave a history as if its process had died in a step, in the middle of a line."""
    events = read(path, recording.KINDS)
    lines = path.read_bytes().splitlines(keepends=True)
    kept = next(number for number, event in enumerate(events) if event.at.step == step and isinstance(event, StepFinished))
    path.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
    return events[:kept]


def test_the_next_life_of_a_run_goes_on_from_its_checkpoint_and_tells_again_what_struck(stored: Cell, tmp_path: Path) -> None:
    path = tmp_path / recording.FAULTED
    whole, _ = recording.run(stored, config_of(stored), path, stored.scenario.faults)
    before = cut_off(path, 7)
    # A process that died in step 7 has not stored how the run ended.
    shutil.rmtree(tmp_path / "faulted" / "checkpoints" / "step-00000008")
    events, _ = recording.run(stored, config_of(stored), path, stored.scenario.faults)
    (resumed,) = [event for event in events if isinstance(event, RunResumed)]
    # The checkpoint of step 6 could not be stored, so it goes on from step 3.
    assert resumed.at == Point(3)
    at = events.index(resumed)
    assert [event.kind for event in events[:at][-2:] if isinstance(event, FaultStruck)] == ["env.stall", "io.eio"]
    assert resumed.dropped == len(before) - (at - 2)
    # What has struck strikes no more, so the second checkpoint of step 6 is stored.
    told = FaultStruck | RunResumed | StorageFailed
    assert [event for event in events if not isinstance(event, told)] == [event for event in whole if not isinstance(event, told)]
    assert not any(isinstance(event, StorageFailed) for event in events)
    assert events == read(path, recording.KINDS)


def test_a_run_whose_checkpoints_are_all_damaged_tells_so_and_ends(stored: Cell, tmp_path: Path) -> None:
    path = tmp_path / recording.FAULTED
    recording.run(stored, config_of(stored), path, stored.scenario.faults)
    cut_off(path, 7)
    for tensors in (tmp_path / "faulted" / "checkpoints").rglob("*.safetensors"):
        tensors.write_bytes(b"torn")
    events, _ = recording.run(stored, config_of(stored), path, stored.scenario.faults)
    assert isinstance(events[-1], RunAborted)
    assert events[-1].error == "CheckpointDamaged"


def test_a_run_that_died_before_its_first_checkpoint_begins_anew(stored: Cell, tmp_path: Path) -> None:
    path = tmp_path / recording.FAULTED
    whole, _ = recording.run(stored, config_of(stored), path, ())
    (tmp_path / "dead.jsonl").write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    events, _ = recording.run(stored, config_of(stored), tmp_path / "dead.jsonl", stored.scenario.faults[:1])
    assert [event for event in events if isinstance(event, RunResumed)] == [RunResumed(Point(0), 2)]
    # What a control run leaves is told of it alone.
    lasting = [event for event in whole if not isinstance(event, StateLeft)]
    assert [event for event in events if not isinstance(event, FaultStruck | RunResumed)] == lasting


UNNOTICED = """\
version: 1
name: mine
because: What nobody answers is looked at once more without a governor.
subject: {seed: 11, envs: 3, steps: 5, batches_per_step: 1, rollout_steps: 5}
faults: [{at: {step: 2, env: 1}, do: tensor.scale, target: {params: "head.*"}, with: {factor: 1.001}}]
expect: [witnessed]
verdict: masked
"""
RAISES = "{at: {step: 2, env: 1}, do: env.raise}"


def of_env(events: Iterable[Event], env: int) -> list[str]:
    """What a history says of the steps of an environment, as it is written down."""
    return [to_line(0, event) for event in events if event.at.env == env and isinstance(event, StepFinished | StateDigested)]


def recorded(text: str, tmp_path: Path) -> tuple[Cell, Path]:
    """A cell from a text, and the folder in which its runs lie."""
    path = tmp_path / "scenarios" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    (folder := tmp_path / "cell").mkdir()
    cell = cells(load(path))[0]
    recording.record(cell, folder)
    return cell, folder


def test_without_a_governor_only_what_is_struck_is_trained_and_it_comes_to_what_it_does_among_all(tmp_path: Path) -> None:
    cell, folder = recorded(UNNOTICED, tmp_path)
    alone = events_of(folder / COUNTERFACTUAL)
    among_all, _ = recording.run(cell, config_of(cell, governed=False), tmp_path / "whole.jsonl", cell.scenario.faults)
    assert len(of_env(alone, 1)) == 2 * 5
    assert of_env(alone, 1) == of_env(among_all, 1)
    assert of_env(alone, 0) == of_env(alone, 2) == []


def test_whoever_decides_for_all_environments_together_trains_them_all(tmp_path: Path) -> None:
    _, folder = recorded(UNNOTICED.replace("envs: 3", "policy: heuristic, envs: 3"), tmp_path)
    assert {event.at.env for event in events_of(folder / COUNTERFACTUAL) if isinstance(event, StepFinished)} == {0, 1, 2}


def test_an_environment_that_was_retired_needs_no_run_without_a_governor(tmp_path: Path) -> None:
    fault = UNNOTICED[UNNOTICED.index("{at:") : UNNOTICED.index("]\nexpect")]
    _, folder = recorded(UNNOTICED.replace(fault, RAISES).replace("masked", "fail_stop"), tmp_path)
    assert any(isinstance(event, EnvironmentRetired) for event in events_of(folder / FAULTED))
    assert not (folder / COUNTERFACTUAL).exists()
