import signal
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.runner import cell as recording
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load
from firedrill.scenario.starter import starter


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
