"""Regressions that were put into the real code are told by a comparison as what they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from firedrill.compare.compared import Change, Compared
from firedrill.compare.facts import facts_of
from firedrill.compare.runs import compare_runs
from firedrill.runner.result import CellResult, read_json, write_json
from firedrill.scenario.cell import Cell
from tolaria.env.capsule import CapsuleHost
from tolaria.governor import rollback
from tolaria.governor.governor import Governor
from tolaria.governor.verdict import Verdict as GovernorVerdict

Patch = pytest.MonkeyPatch
LOST_KEY = "blocks.0.norm.running_var"


def a_key_is_lost(patch: Patch) -> None:
    real = CapsuleHost.stable_tensors

    def without(self: CapsuleHost) -> dict[str, torch.Tensor]:
        return {name: tensor for name, tensor in real(self).items() if not name.endswith(LOST_KEY)}

    patch.setattr(CapsuleHost, "stable_tensors", without)
    patch.setattr(rollback, "check_layout", lambda *_: None)


def the_penalty_is_halved(patch: Patch) -> None:
    real = rollback._restore

    def halved(*arguments: Any) -> float:
        return 0.5 * real(*arguments)

    patch.setattr(rollback, "_restore", halved)


def nobody_looks(patch: Patch) -> None:
    patch.setattr(Governor, "judge", lambda *_: GovernorVerdict.healthy())


@pytest.fixture
def compared(
    tmp_path: Path, monkeypatch: Patch, cell_of: Callable[[str], Cell], judged: Callable[[Cell], CellResult]
) -> Callable[..., Any]:
    """A scenario before and after a plant, by way of their files."""

    def runs(scenario: str, plant: Callable[[Patch], None]) -> list[Compared]:
        cell = cell_of(scenario)
        write_json(tmp_path / "base.json", [judged(cell)])
        (tmp_path / "recorded").rename(tmp_path / "recorded before")
        plant(monkeypatch)
        write_json(tmp_path / "head.json", [judged(cell)])
        base, head = (facts_of(read_json(tmp_path / f"{side}.json")) for side in ("base", "head"))
        assert {one.change for one in compare_runs(base, base)} == {Change.UNCHANGED}
        return [one for one in compare_runs(base, head) if one.change is Change.REGRESSION]

    return runs


def test_a_snapshot_key_that_is_lost(compared: Callable[..., list[Compared]]) -> None:
    found = {one.metric: one for one in compared("batch-norm-statistics", a_key_is_lost)}
    assert found["verdict"].head == "wrong recovery, not as expected"
    assert any(LOST_KEY in one.detail for one in found.values()), found


def test_a_penalty_that_is_halved(compared: Callable[..., list[Compared]]) -> None:
    found = {one.metric: one for one in compared("penalty", the_penalty_is_halved)}
    assert (found["penalty delivered"].base, found["penalty delivered"].head) == ("-10", "-5")
    assert found["penalized"].head == "fail"


def test_a_scenario_that_turns_missed(compared: Callable[..., list[Compared]]) -> None:
    found = {one.metric: one for one in compared("explosion-on-snapshot-step", nobody_looks)}
    assert (found["verdict"].base, found["verdict"].head) == ("recovered", "missed, not as expected")
    assert found["detected"].head == "fail"
