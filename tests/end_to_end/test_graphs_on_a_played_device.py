"""Scenarios of hosts that are trained by graphs, recorded and judged on a device that is only played.

The real device has these scenarios, too; what it alone can show is that PyTorch captures what is captured here.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from pools.device import Device, device

from firedrill.runner.assess import result_of
from firedrill.runner.cell import record
from firedrill.runner.folder import told_ending
from firedrill.runner.result import CellResult
from firedrill.scenario.cell import cells
from firedrill.scenario.load import load
from tolaria.train import run

__all__ = ["device"]

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios" / "graphs"
# One whose process is killed would take the test with it.
PLAYED = ("nan-weight", "two-environments", "nan-gradient-of-a-seed", "as-if-never", "environment-raises")


@pytest.fixture(autouse=True)
def played(device: Device, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The CPU may be asked for what only a device can do."""
    monkeypatch.setattr(run, "check_backend", lambda *_: None)
    return device


def judged(name: str, folder: Path) -> CellResult:
    (cell,) = cells(load(SCENARIOS / f"graphs-{name}.yaml"))
    assert cell.device == "cuda"
    cell = replace(cell, device="cpu")
    record(cell, folder)
    return result_of(cell, folder, told_ending(folder), 0.0)


@pytest.mark.parametrize("name", PLAYED)
def test_a_scenario_holds(name: str, tmp_path: Path, played: Device) -> None:
    result = judged(name, tmp_path)
    assert result.passed, (result.verdict, result.reason, result.findings)
    assert sum(call == "replay" for call, *_ in played.calls) > 1000
