"""Children that are killed, stand still, run out of memory or find their disk full: a campaign goes on, and nothing is left behind."""

import contextlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest

from firedrill.oracles.oracle import Answer
from firedrill.runner.executors.local import PRELOADED
from firedrill.runner.result import CellResult
from firedrill.runner.run import run_cells
from firedrill.runner.verdict import Verdict
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load

# Processes are counted, so nothing else of the kind may run beside these in one process.
pytestmark = pytest.mark.xdist_group("processes")

HEAD = """\
version: 1
name: {name}
because: Whatever becomes of the process of one cell, the others go on and nothing is left behind.
subject: {{seed: 11, envs: 2, steps: 8, batches_per_step: 1, rollout_steps: 8{stored}, governor: {{snapshot_every: 3, probation: 1}}}}
faults:
  - {fault}
expect: [{expect}]
verdict: {verdict}
budget: {{{budget}}}
"""
STORED = ", checkpoint_every: 2"
RESUMED = "witnessed, undisturbed: {resumes: 1}"
NAN = 'at: {step: 5, env: 1}, do: tensor.set, target: {params: "head.*", pick: {index: 0}}, with: {value: nan}'

# Name, fault, what is stored, what is expected, the verdict and the budget.
CAMPAIGN = (
    ("killed", "at: {step: 5, env: 1}, do: proc.sigkill", "", "witnessed", "crashed", "wall: 60s"),
    ("killed-and-resumed", "at: {step: 5, env: 1}, do: proc.sigkill", STORED, RESUMED, "recovered", "wall: 60s, resumes: 1"),
    ("killed-at-once", "at: {step: 0}, do: io.torn", STORED, RESUMED, "recovered", "wall: 60s, resumes: 1"),
    ("stopped", "at: {step: 5, env: 1}, do: proc.sigstop", "", "witnessed", "hung", "wall: 8s"),
    ("aborted", "at: {step: 5, env: 1}, do: proc.abort", "", "witnessed", "crashed", "wall: 60s"),
    ("out-of-memory", "at: {step: 5, env: 1}, do: mem.limit", "", "witnessed, penalized", "fail_stop", "wall: 60s"),
    (
        "disk-full",
        "at: {step: 2, for_steps: forever}, do: io.enospc, with: {nth: 3}",
        STORED,
        "witnessed, undisturbed: {storage_failures: 4}",
        "masked",
        "wall: 60s",
    ),
    ("file-limit", "at: {step: 4}, do: io.efbig", STORED, "witnessed, undisturbed: {storage_failures: 1}", "masked", "wall: 60s"),
    ("torn", "at: {step: 6}, do: io.torn, with: {nth: 2}", STORED, RESUMED, "recovered", "wall: 60s, resumes: 1"),
    ("well", NAN, "", "witnessed, state_restored, keys_matched, clean, penalized, told, bystanders_untouched", "recovered", "wall: 60s"),
)


def cell_of(folder: Path, name: str, fault: str, stored: str, expect: str, verdict: str, budget: str) -> Cell:
    """One of these cells."""
    listed = ", ".join(f"{{{word}}}" if ": " in word else word for word in expect.split(", "))
    path = folder / "scenarios" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    text = HEAD.format(name=name, fault=f"{{{fault}}}", stored=stored, expect=listed, verdict=verdict, budget=budget)
    path.write_text(text, encoding="utf-8")
    return cells(load(path))[0]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where temporary folders go meanwhile; a short path, because a socket's is at most 108 bytes long."""
    # Those of the tests themselves stay where they are.
    tmp_path_factory.getbasetemp()
    multiprocessing.set_forkserver_preload(list(PRELOADED))
    forkserver.ensure_running()
    with tempfile.TemporaryDirectory(prefix="fd") as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(scope="module")
def told(scratch: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CellResult]:
    """The results of one campaign over all of them."""
    folder = tmp_path_factory.mktemp("campaign")
    results = run_cells([cell_of(folder, *row) for row in CAMPAIGN], 2, lambda _: None)
    return {result.scenario: result for result in results}


@pytest.mark.parametrize("name", [row[0] for row in CAMPAIGN])
def test_the_verdict_is_right_and_the_campaign_goes_on(name: str, told: dict[str, CellResult]) -> None:
    wrong = [finding.detail for finding in told[name].findings if finding.answer is not Answer.PASS]
    assert (told[name].passed, told[name].reason, wrong) == (True, told[name].reason, []), told[name].verdict
    assert list(told) == [row[0] for row in CAMPAIGN]


def test_how_a_child_ended_is_said(told: dict[str, CellResult]) -> None:
    assert told["killed"].reason == "killed by signal 9"
    assert told["aborted"].reason == "killed by signal 6"
    assert told["stopped"].reason == "no end after 8 s"
    assert told["killed-and-resumed"].reason == "resumed at step 4"
    # Its very first checkpoint was torn, so it began anew.
    assert told["killed-at-once"].reason == "resumed at step 0"
    assert told["torn"].reason == "resumed at step 4"
    assert "64 MiB were refused" in told["out-of-memory"].reason


def test_nobody_and_nothing_is_left_behind(told: dict[str, CellResult], scratch: Path) -> None:
    assert len(told) == len(CAMPAIGN)
    assert [child for server in psutil.Process().children() for child in server.children()] == []
    assert list(scratch.iterdir()) == []


def test_a_run_that_dies_more_often_than_it_may_has_crashed(scratch: Path, tmp_path: Path) -> None:
    row = ("twice", "at: {step: 3, env: 0}, do: proc.sigkill", STORED, "witnessed", "crashed", "wall: 60s, resumes: 1")
    cell = cell_of(tmp_path, *row)
    path = cell.scenario.path
    path.write_text(path.read_text().replace("expect:", "  - {at: {step: 6, env: 0}, do: proc.sigkill}\nexpect:"))
    (result,) = run_cells(cells(load(path)), 1, lambda _: None)
    assert (result.verdict, result.passed, result.reason) == (Verdict.CRASHED, True, "killed by signal 9")
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not end the children of a process that was killed")
def test_a_child_that_stands_still_does_not_outlive_a_firedrill_that_was_killed(scratch: Path, tmp_path: Path) -> None:
    cell = cell_of(tmp_path, "stopped", "at: {step: 5, env: 1}, do: proc.sigstop", "", "witnessed", "hung", "wall: 300s")
    command = [sys.executable, "-m", "firedrill.cli", "run", str(cell.scenario.path)]
    environment = os.environ | {"TMPDIR": str(scratch), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        family = standing_still(program)
        assert len(family) >= 2
        program.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    # Nobody was there to clear away.
    for left in scratch.iterdir():
        shutil.rmtree(left)


def standing_still(program: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes of a program, as soon as one of them has been stopped."""
    for _ in range(600):
        family = psutil.Process(program.pid).children(recursive=True)
        if any(child.status() == psutil.STATUS_STOPPED for child in family):
            return family
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(0.1)
    raise AssertionError("nobody stands still")
