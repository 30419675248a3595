"""Two processes come to the same bytes, and what one of them kept is judged again by a third one that trains nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from firedrill.runner.result import read_json

pytestmark = pytest.mark.xdist_group("processes")

ROOT = Path(__file__).parents[2]
ENV = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "harness")]),
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "COLUMNS": "120",
}
# Leaves with the command's code, and complains when what is named was loaded.
WITHOUT = """
import runpy, sys
unwanted = sys.argv.pop(1).split(",")
try:
    runpy.run_module("firedrill.cli", run_name="__main__", alter_sys=True)
finally:
    assert not set(unwanted) & set(sys.modules), set(unwanted) & set(sys.modules)
"""

FileOf = Callable[[str], Path]


def firedrill(unwanted: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end in a process of its own, in which some modules must not be loaded."""
    command = [sys.executable, "-c", WITHOUT, unwanted, *map(str, arguments)]
    return subprocess.run(command, env=ENV, capture_output=True, text=True, check=False)


def histories(kept: Path) -> dict[str, bytes]:
    """The bytes of every history, by the cell's id and the file's name."""
    return {str(path.relative_to(kept)): path.read_bytes() for path in sorted(kept.rglob("*.jsonl"))}


def test_runs_are_the_same_bytes_in_two_processes_and_are_judged_again_without_training(file_of: FileOf, tmp_path: Path) -> None:
    file_of("penalty")
    folder = file_of("nan-weight").parent
    first, second = tmp_path / "first", tmp_path / "second"
    beside = firedrill("torch", "run", folder, "--jobs", "2", "--keep", first, "--json", tmp_path / "run.json")
    assert beside.returncode == 0, beside.stdout + beside.stderr
    # A token needs nothing of the campaign that drew its cell.
    before = read_json(tmp_path / "run.json").cells
    tokens = [cell.token for cell in before]
    alone = firedrill("torch,hypothesis,firedrill.campaign.fuzz", "replay", *tokens, "--jobs", "1", "--keep", second)
    assert alone.returncode == 0, alone.stderr
    assert histories(first) == histories(second)
    assert {Path(name).name for name in histories(first)} == {"control.jsonl", "faulted.jsonl"}

    judged = firedrill("torch", "judge", first, "--json", tmp_path / "judged.json")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    again = read_json(tmp_path / "judged.json").cells
    assert {cell.id: (cell.verdict, cell.findings, cell.history_digest, cell.file) for cell in again} == {
        cell.id: (cell.verdict, cell.findings, cell.history_digest, cell.file) for cell in before
    }

    # One of the two is there from the same code, so only the other one runs.
    shutil.rmtree(next(first.glob("penalty*")))
    resumed = firedrill("torch", "run", folder, "--keep", first, "--json", tmp_path / "resumed.json")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "1 cell was finished" in resumed.stdout
    assert histories(first) == histories(second)

    # An oracle that no scenario asked for is tried on what was recorded.
    tried = firedrill("torch", "judge", first, "-k", "nan-weight", "--oracles", "frugal", "--json", tmp_path / "tried.json")
    assert tried.returncode == 1, tried.stdout + tried.stderr
    (cell,) = json.loads((tmp_path / "tried.json").read_text())["cells"]
    assert [(finding["oracle"], finding["answer"]) for finding in cell["findings"]] == [("frugal", "unknown")]


def test_what_is_no_kept_run_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "cell.json").write_text("{}")
    assert firedrill("torch", "judge", tmp_path).returncode == 2
    assert firedrill("torch", "judge", tmp_path / "nowhere").returncode == 4
