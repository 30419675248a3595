import os
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.runner import controls as sharing
from firedrill.runner.cell import record
from firedrill.runner.controls import leave, name_of, share, taken_over
from firedrill.runner.folder import CONTROL, FAULTED, digest_of
from firedrill.scenario.cell import Cell
from tolaria.telemetry.event import Point
from tolaria.telemetry.run_events import RunAborted, RunFinished

FINISHED = [RunFinished(Point(5), (0.5, 0.5))]


@pytest.fixture
def controls(tmp_path: Path) -> Path:
    """Where cells leave control runs."""
    folder = tmp_path / "controls"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A control run, as a file."""
    path = tmp_path / CONTROL
    path.write_bytes(b"history\n")
    return path


def test_a_shared_control_run_has_the_bytes_of_an_own_one(small: Cell, recorded: Path, controls: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        record(small, folder, controls)
    assert (folders[0] / CONTROL).samefile(folders[1] / CONTROL)
    for folder in folders:
        assert [digest_of(folder / name) for name in (CONTROL, FAULTED)] == [digest_of(recorded / name) for name in (CONTROL, FAULTED)]


def test_faults_and_oracles_do_not_part_cells_and_subject_seed_and_device_do(small: Cell) -> None:
    scenario = small.scenario
    same = replace(small, id="other", scenario=replace(scenario, faults=(), oracles=(), because="Another."))
    assert name_of(same) == name_of(small)
    subject = replace(scenario.subject, batches_per_step=2)
    others = (replace(small, seed=12), replace(small, device="cuda"), replace(small, scenario=replace(scenario, subject=subject)))
    assert len({name_of(cell) for cell in (small, *others)}) == 4


def test_a_run_that_did_not_come_to_its_end_is_left_for_nobody(small: Cell, controls: Path, run: Path, tmp_path: Path) -> None:
    leave(small, controls, run, [RunAborted(Point(3), "OSError", "full")])
    assert not taken_over(small, controls, tmp_path / "other")
    leave(small, controls, run, FINISHED)
    assert taken_over(small, controls, tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == b"history\n"


def test_only_so_many_are_kept_and_the_latest_used_ones(
    small: Cell, controls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "LEFT_MAX", 2)
    cells = [replace(small, seed=seed) for seed in range(3)]
    runs = [tmp_path / f"{seed}.jsonl" for seed in range(3)]
    for path in runs:
        path.write_bytes(b"history\n")
    for cell, path in zip(cells[:2], runs, strict=False):
        leave(cell, controls, path, FINISHED)
        os.utime(path, (cell.seed, cell.seed))
    assert taken_over(cells[0], controls, tmp_path / "used")
    leave(cells[2], controls, runs[2], FINISHED)
    assert sorted(left.name for left in controls.iterdir()) == sorted(name_of(cell) for cell in (cells[0], cells[2]))


def test_where_no_link_is_possible_the_bytes_are_copied(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(_self: Path, _target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", no_link)
    share(run, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"history\n"
