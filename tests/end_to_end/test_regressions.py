"""Regressions that were put into the real code are told by a comparison as what they are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from firedrill.bench import rollback as bench_rollback
from firedrill.bench.clock import Sample
from firedrill.bench.paired import Block, interleaved
from firedrill.bench.side import Timing, block
from firedrill.bench.sides import rollback as sides_rollback
from firedrill.compare.compared import Change, Compared
from firedrill.compare.facts import facts_of
from firedrill.compare.runs import compare_runs
from firedrill.compare.timing import PAIRS, judge
from firedrill.runner.result import CellResult, read_json, write_json
from firedrill.scenario.cell import Cell
from tolaria.env.capsule import CapsuleHost
from tolaria.governor import rollback
from tolaria.governor.arena import Arena
from tolaria.governor.governor import Governor
from tolaria.governor.snapshots import Snapshot
from tolaria.governor.stopwatch import Stopwatch
from tolaria.governor.verdict import Verdict as GovernorVerdict
from tolaria.ppo.buffer import RolloutBuffer

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


class Played:
    """A clock that only these parts of a rollback move, one of which takes `slower` times as long on the side that is changed."""

    # Seconds, as the part that has the name is to be told.
    TAKEN = {  # noqa: RUF012 - it is read only
        "validate": (Snapshot, "is_intact", 50e-6),
        "lifecycle": (CapsuleHost, "commit", 20e-6),
        "copy": (Arena, "copy_out", 80e-6),
        "optimizer": (CapsuleHost, "restore_optimizers", 30e-6),
        "buffer": (RolloutBuffer, "charge", 10e-6),
    }

    def __init__(self, patch: Patch, planted: str) -> None:
        self.now, self.planted, self.slower = 0.0, planted, 1.0
        for name, (owner, method, seconds) in self.TAKEN.items():
            patch.setattr(owner, method, self._taking(name, getattr(owner, method), seconds))
        patch.setattr(Stopwatch.__init__, "__defaults__", (lambda: self.now,))
        patch.setattr(sides_rollback, "sample", self._sample)

    def _taking(self, name: str, real: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        def takes(*given: Any, **named: Any) -> Any:
            self.now += seconds * (self.slower if name == self.planted else 1.0)
            return real(*given, **named)

        return takes

    def _sample(self, call: Callable[[], object]) -> Sample:
        began = self.now
        call()
        return Sample(self.now - began, self.now - began)


@dataclass(frozen=True, slots=True)
class InThisProcess:
    """A side of a comparison that needs no process, because its clock is played."""

    played: Played
    timing: Timing
    slower: float

    def block(self, case: str, rounds: int) -> Block:
        self.played.slower = self.slower
        found = block(lambda _: self.timing, case, rounds)
        return Block(found["seconds"], frozenset(found["wall"]))


@pytest.mark.parametrize("part", Played.TAKEN)
def test_a_rollback_of_which_a_part_is_a_third_slower(monkeypatch: Patch, part: str) -> None:
    monkeypatch.setitem(bench_rollback.SIZES, "tiny", 5_000)
    played = Played(monkeypatch, part)
    timing = sides_rollback.begin("tiny")
    base, head = (InThisProcess(played, timing, slower) for slower in (1.0, 1.3))
    changes = {one.subject: one.change for one in judge(interleaved(base, head, "tiny", PAIRS, 1, lambda: None))}  # type: ignore[arg-type]  # They have what is used.
    whole = changes.pop("rollback: total, tiny")
    assert changes == {f"rollback: {name}, tiny": Change.REGRESSION if name == part else Change.UNCHANGED for name in Played.TAKEN}
    # Of the whole it is less than a tenth, but for the copy.
    assert whole is (Change.REGRESSION if part == "copy" else Change.UNCHANGED)
