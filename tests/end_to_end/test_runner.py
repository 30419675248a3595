"""Cells in processes that hang, are killed or interrupted: each costs itself only, and nothing is left behind."""

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest

from firedrill.runner.result import CellResult, read_json
from firedrill.runner.run import run_cells
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell

# Processes are counted, and cells are timed, so nothing else of the kind may run beside these in one process.
pytestmark = pytest.mark.xdist_group("processes")

ROOT = Path(__file__).parents[2]
ENV = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "harness")]),
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "COLUMNS": "120",
}
# Leaves with the command's code, and complains when the heavy library was loaded.
WITHOUT_TORCH = """
import runpy, sys
try:
    runpy.run_module("firedrill.cli", run_name="__main__", alter_sys=True)
finally:
    assert "torch" not in sys.modules
"""

CellOf = Callable[[str], Cell]
FileOf = Callable[[str], Path]


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders go meanwhile; a short path, because a socket's is at most 108 bytes long."""
    # The fork server outlives the test, and its socket lies where temporary folders go when it starts.
    multiprocessing.set_forkserver_preload(["firedrill.runner.warm"])
    forkserver.ensure_running()
    with tempfile.TemporaryDirectory(prefix="fd") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def running() -> list[psutil.Process]:
    """The cells that run now: the children of the fork server."""
    return [child for server in psutil.Process().children() for child in server.children()]


def firedrill(*arguments: str | Path, before: Callable[[], None] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end; `before` is done in its process first."""
    command = [sys.executable, "-m", "firedrill.cli", *map(str, arguments)]
    return subprocess.run(command, env=ENV, capture_output=True, text=True, check=False, preexec_fn=before)


def test_a_child_that_hangs_is_ended_and_costs_nobody_else_anything(cell_of: CellOf, scratch: Path) -> None:
    hung, well = run_cells([cell_of("hangs"), cell_of("nan-weight")], 2, lambda _: None)
    assert (hung.verdict, hung.reason) == (Verdict.HUNG, "no end after 0.2 s")
    assert (well.verdict, well.passed) == (Verdict.RECOVERED, True)
    assert running() == []
    assert list(scratch.glob("firedrill-*")) == []


def test_a_child_that_is_killed_is_a_crash_and_costs_nobody_else_anything(cell_of: CellOf, scratch: Path) -> None:
    def kill_the_other(result: CellResult) -> None:
        for child in running():
            child.kill()

    killed, well = run_cells([cell_of("endless"), cell_of("nan-weight")], 2, kill_the_other)
    assert (killed.verdict, killed.reason) == (Verdict.CRASHED, "killed by signal 9")
    assert (well.verdict, well.passed) == (Verdict.RECOVERED, True)
    assert running() == []
    assert list(scratch.glob("firedrill-*")) == []


def test_an_interruption_keeps_what_was_told(cell_of: CellOf, scratch: Path) -> None:
    told: list[str] = []

    def interrupt(result: CellResult) -> None:
        told.append(result.id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells([cell_of("endless"), cell_of("nan-weight")], 2, interrupt)
    assert told == ["nan-weight[cpu,seed=11]"]
    assert running() == []
    assert list(scratch.glob("firedrill-*")) == []


def test_what_is_as_expected_exits_with_0_and_is_written_down(file_of: FileOf, tmp_path: Path) -> None:
    file_of("nan-weight-adam")
    ended = firedrill("run", file_of("nan-weight").parent, "-k", "not adam", "--json", tmp_path / "run.json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    document = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert document["schema"] == "firedrill.run/1.1"
    (cell,) = document["cells"]
    assert {name: cell[name] for name in ("id", "scenario", "device", "seed", "verdict")} == {
        "id": "nan-weight[cpu,seed=11]",
        "scenario": "nan-weight",
        "device": "cpu",
        "seed": 11,
        "verdict": "recovered",
    }
    assert {"detected", "state_restored", "penalized", "twin"} <= {finding["oracle"] for finding in cell["findings"]}
    assert {finding["answer"] for finding in cell["findings"]} == {"pass"}
    assert read_json(tmp_path / "run.json").cells[0].passed


def test_what_is_not_as_expected_exits_with_1(file_of: FileOf) -> None:
    path = file_of("nan-weight")
    path.write_text(path.read_text().replace("verdict: recovered", "verdict: masked"))
    ended = firedrill("run", path)
    assert ended.returncode == 1
    assert "1 cell: 0 as expected, 1 not" in ended.stdout


def test_a_wrong_file_exits_with_2_before_anything_heavy_is_loaded(file_of: FileOf) -> None:
    path = file_of("nan-weight")
    path.write_text(path.read_text().replace("tensor.set", "tensor.sett"))
    command = [sys.executable, "-c", WITHOUT_TORCH, "run", str(path)]
    ended = subprocess.run(command, env=ENV, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert f"{path}:6:43: " in ended.stderr
    assert "did you mean tensor.set?" in ended.stderr


def test_a_harness_that_cannot_write_exits_with_3(file_of: FileOf) -> None:
    def full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    ended = firedrill("run", file_of("nan-weight"), before=full_disk)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "harness error" in ended.stdout


def test_a_device_that_is_not_there_exits_with_4(file_of: FileOf) -> None:
    path = file_of("nan-weight")
    path.write_text(path.read_text() + "matrix: {device: [cuda]}\n")
    ended = firedrill("run", path)
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "1 not run" in ended.stdout


def test_ctrl_c_keeps_and_tells_what_is_finished_and_leaves_nobody(file_of: FileOf, scratch: Path, tmp_path: Path) -> None:
    paths = [str(file_of(name)) for name in ("endless", "nan-weight")]
    results, kept = tmp_path / "run.json", tmp_path / "kept"
    command = [sys.executable, "-m", "firedrill.cli", "run", *paths, "--jobs", "2", "--json", str(results), "--keep", str(kept)]
    with subprocess.Popen(
        command,
        env=ENV | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        assert program.stderr is not None
        # The first line tells of the cell that has ended; the other one runs on.
        first = program.stderr.readline()
        family = psutil.Process(program.pid).children(recursive=True)
        os.killpg(program.pid, signal.SIGINT)
        told, complaints = program.communicate()
    assert "nan-weight[cpu,seed=11]" in first
    assert len(family) >= 2
    assert program.returncode == 130
    assert "nan-weight" in told
    assert "1 of 2 cells finished" in complaints
    assert "Traceback" not in complaints
    assert ([cell.id for cell in read_json(results).cells], read_json(results).complete) == (["nan-weight[cpu,seed=11]"], False)
    assert sorted(path.name for path in kept.iterdir()) == [".lock", "nan-weight[cpu,seed=11]"]
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    assert list(scratch.glob("firedrill-*")) == []
