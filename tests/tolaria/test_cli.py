"""The command line as a user meets it: in a process of its own where that matters, and else in this one, which has torch loaded already."""

import multiprocessing
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from tyro.extras import subcommand_cli_from_dict

from tolaria.bench.cli import Experiment
from tolaria.catalogue import BLUEPRINT_NAMES, TASK_ABOUT
from tolaria.cli import ABOUT, COMMANDS, Train, main
from tolaria.errors import RollbackFailed, WorkerLost
from tolaria.train import checkpoint, trainer
from tolaria.train.run import Run

SRC = Path(__file__).parents[2] / "src"
# A run of a second: a few hundred steps a second go by on spirals.
SMALL = ("--task", "spirals", "--envs", "2", "--steps", "12", "--batches-per-step", "2", "--device", "cpu")

# Runs a command line and tells on the last line of stderr which heavy modules it has loaded.
TELLING = """
import sys
from tolaria.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"torch", "numpy", "sklearn", "gymnasium", "pydantic", "matplotlib", "rich"}
    print(*sorted(heavy & set(sys.modules)), file=sys.stderr)
"""

# Runs a command line and sends itself SIGINT when a run comes to given steps, as a terminal does for Ctrl-C.
INTERRUPTING = """
import os, signal, sys
from tolaria.cli import main
from tolaria.train import trainer
steps = [int(step) for step in sys.argv.pop(1).split(",")]
take_step = trainer.take_step
def take_step_interrupted(run):
    take_step(run)
    for step in steps:
        if run.step == step:
            os.kill(os.getpid(), signal.SIGINT)
trainer.take_step = take_step_interrupted
main(sys.argv[1:])
"""

Completed = subprocess.CompletedProcess[str]
Tolaria = Callable[..., Completed]
InProcess = Callable[..., int]


@pytest.fixture
def tolaria(tmp_path: Path) -> Tolaria:
    """Runs `tolaria` in an empty folder; with `code`, in an interpreter that runs this instead."""

    def run(*arguments: str, code: str | None = None) -> Completed:
        env = os.environ | {"PYTHONPATH": str(SRC), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
        how = ("-m", "tolaria") if code is None else ("-c", code)
        command = [sys.executable, *how, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture
def in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Runs a command line here, in the same empty folder, and returns its exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run


@pytest.fixture
def interrupt_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sends SIGINT to this process when a run has done so many steps."""

    def arm(step: int) -> None:
        take_step = trainer.take_step

        def interrupted(run: Run) -> None:
            take_step(run)
            if run.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(trainer, "take_step", interrupted)

    return arm


def mistaken(ended: Completed) -> str:
    """The one line that a mistake is answered with."""
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr + ended.stdout
    return ended.stderr


def same_run(ours: Path, theirs: Path) -> None:
    assert (ours / "events.jsonl").read_bytes() == (theirs / "events.jsonl").read_bytes()
    last = max((ours / "checkpoints").iterdir()).name
    for file in ("tensors.safetensors", "manifest.json"):
        assert (ours / "checkpoints" / last / file).read_bytes() == (theirs / "checkpoints" / last / file).read_bytes()


def test_help_names_every_command_and_loads_nothing_heavy(tolaria: Tolaria) -> None:
    ended = tolaria("--help", code=TELLING)
    assert ended.returncode == 0
    assert all(name in ended.stdout for name in COMMANDS)
    assert ended.stderr.strip() == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example_and_loads_nothing_heavy(command: str, tolaria: Tolaria) -> None:
    ended = tolaria(command, "--help", code=TELLING)
    assert ended.returncode == 0
    assert f"Example: tolaria {command}" in ended.stdout
    assert ended.stderr.strip() == ""


@pytest.mark.parametrize("command", [*COMMANDS.values(), *(get_args(choice)[0] for choice in get_args(Experiment))])
def test_every_example_in_a_help_is_a_command_line(command: type) -> None:
    examples = re.findall(r"^ *Example: (.+)$", f"{command.__doc__}\n{ABOUT}", re.MULTILINE)
    assert len(examples) > 1
    for example in examples:
        program, *arguments = shlex.split(example)
        assert program == "tolaria"
        # What is parsed is not run.
        subcommand_cli_from_dict(COMMANDS, prog="tolaria", args=arguments)


def test_an_option_that_nobody_knows_is_named(tolaria: Tolaria) -> None:
    ended = tolaria("train", "--stepz", "3")
    assert ended.returncode == 2
    assert "--stepz" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_tasks_are_listed_without_torch(tolaria: Tolaria) -> None:
    ended = tolaria("tasks", code=TELLING)
    assert [line.split()[0] for line in ended.stdout.splitlines()] == list(TASK_ABOUT)
    assert "torch" not in ended.stderr


def test_blueprints_are_listed_with_what_they_cost(in_process: InProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("blueprints", "--width", "24") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:3] for line in lines[1:]}
    assert list(rows) == [name for names in BLUEPRINT_NAMES.values() for name in names]
    # 24 x 48 + 48 and 48 x 24 + 24.
    assert rows["residual_mlp"] == ["mlp", "2,376"]
    assert rows["conv_norm"] == ["conv", "48"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--task", "spiralz"), "task: found 'spiralz', expected one of digits, digits_impaired, spirals, spirals_impaired"),
        (("train", "--device", "cuda:99"), "device: found 'cuda:99'"),
        (("resume", "nowhere"), "'nowhere', expected the folder of a run"),
        (("show", "nowhere"), "'nowhere', expected the folder of a run"),
    ],
)
def test_a_mistake_is_answered_in_one_line_and_leaves_nothing_behind(
    arguments: tuple[str, ...], said: str, tolaria: Tolaria, tmp_path: Path
) -> None:
    assert said in mistaken(tolaria(*arguments))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--device", "gpu"), "device: found 'gpu', expected auto, cpu, cuda, cuda:N or mps"),
        (("train", "--steps", "0"), "steps: found 0, expected 1 or more"),
        (("train", "--snapshot-every", "0"), "governor.snapshot_every: found 0"),
        (("train", "--batches-per-step", "0"), "training.batches_per_step: found 0"),
        (("train", "--seed", "-1"), "seed: found -1"),
        (("train", "--warm-start", "4"), "warm-start: found 4, expected --policy ppo"),
        (("train", "--policy", "ppo", "--warm-start", "-1"), "ppo.warm_start: found -1"),
        (("blueprints", "--width", "0"), "width: found 0"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    arguments: tuple[str, ...], said: str, in_process: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process(*arguments) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"error: {said}")
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_mistake(in_process: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert in_process("train", *SMALL, "--run-dir", "file/run") == 2
    assert "file/run" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_no_run_to_go_on_with(
    in_process: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert in_process("train", *SMALL, "--run-dir", "file") == 2
    assert capsys.readouterr().err == "error: run-dir: found 'file', expected a folder that does not exist yet, and not a file\n"


def test_every_command_that_is_advised_can_be_typed_as_it_is(
    in_process: InProcess, interrupt_after: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("train", *SMALL, "--run-dir", "rü n")
    interrupt_after(3)
    assert in_process(*command) == 130
    assert "to go on: tolaria resume 'rü n'\n" in capsys.readouterr().out
    assert in_process(*command) == 2
    assert "to go on with that run: tolaria resume 'rü n'\n" in capsys.readouterr().err
    assert in_process("resume", "rü n") == 0
    assert "its story: tolaria show 'rü n'\n" in capsys.readouterr().out
    assert in_process("resume", "rü n") == 0
    assert capsys.readouterr().out == "this run is finished; to look at it: tolaria show 'rü n'\n"


def test_a_run_is_trained_shown_and_not_trained_twice(tolaria: Tolaria, tmp_path: Path) -> None:
    trained = tolaria("train", *SMALL)
    folder = "runs/spirals-schedule-seed0"
    assert trained.returncode == 0, trained.stderr
    assert "step 12/12" in trained.stdout
    assert "test accuracy" in trained.stdout
    assert f"tolaria show {folder}" in trained.stdout
    before = {path: path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file()}

    again = mistaken(tolaria("train", *SMALL))
    assert folder in again
    assert f"tolaria resume {folder}" in again

    resumed = tolaria("resume", folder)
    assert (resumed.returncode, resumed.stdout) == (0, f"this run is finished; to look at it: tolaria show {folder}\n")
    assert {path: path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file()} == before

    shown = tolaria("show", folder, code=TELLING)
    assert shown.returncode == 0
    assert "environment 1" in shown.stdout
    assert "torch" not in shown.stderr


def test_a_picture_is_drawn(tolaria: Tolaria, in_process: InProcess, tmp_path: Path) -> None:
    assert in_process("train", *SMALL, "--run-dir", "run") == 0
    assert tolaria("show", "run", "--picture", "run.png").returncode == 0
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    assert "a name that ends in .png" in mistaken(tolaria("show", "run", "--picture", "run.jpg"))


def test_an_interrupted_run_goes_on_in_another_process_as_if_nothing_had_been(
    tolaria: Tolaria, in_process: InProcess, tmp_path: Path
) -> None:
    command = ("train", *SMALL, "--policy", "ppo", "--episode-steps", "8", "--run-dir")
    assert in_process(*command, "whole") == 0
    stopped = tolaria("7", *command, "parts", code=INTERRUPTING)
    assert stopped.returncode == 130, stopped.stderr
    assert "stopped before step 7 of 12; to go on: tolaria resume parts" in stopped.stdout
    assert checkpoint.read_newest(tmp_path / "parts" / "checkpoints", lambda _, facts: facts["step"])[0] == 7
    resumed = tolaria("resume", "parts")
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed from the checkpoint of step 7, 5 steps to go" in resumed.stdout
    same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_second_interruption_stops_at_once(tolaria: Tolaria, tmp_path: Path) -> None:
    ended = tolaria("5,5", "train", *SMALL, "--persist", "3", "--run-dir", "run", code=INTERRUPTING)
    assert ended.returncode == 130
    assert "stopped at once" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert checkpoint.read_newest(tmp_path / "run" / "checkpoints", lambda _, facts: facts["step"])[0] == 3


def test_a_worker_that_dies_is_no_mistake_and_the_run_goes_on_from_its_checkpoint(
    in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take_step = trainer.take_step

    def deadly(run: Run) -> None:
        if run.step == 5:
            for child in multiprocessing.active_children():
                child.kill()
        take_step(run)

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "take_step", deadly)
        assert in_process("train", *SMALL, "--workers", "2", "--persist", "3", "--run-dir", "a run") == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"error: worker \d ended in the middle of a step, exit code -9; to go on: tolaria resume 'a run'", told)
    assert in_process("resume", "a run") == 0
    assert "resumed from the checkpoint of step 3, 9 steps to go" in capsys.readouterr().out


def test_a_run_that_could_not_be_restored_is_no_mistake(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(run: Run) -> None:
        raise RollbackFailed(f"step {run.step}: no snapshot could be restored")

    monkeypatch.setattr(trainer, "take_step", failing)
    assert in_process("train", *SMALL, "--run-dir", "run") == 1
    assert capsys.readouterr().err == "error: step 0: no snapshot could be restored\n"


def test_a_worker_that_dies_before_there_is_a_checkpoint_leaves_nothing_to_go_on_with(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(run: Run) -> None:
        raise WorkerLost("worker 1 ended")

    monkeypatch.setattr(trainer, "warm_start", failing)
    assert in_process("train", *SMALL, "--run-dir", "run") == 1
    assert capsys.readouterr().err == "error: worker 1 ended\n"


def test_a_signal_from_outside_stops_a_run(tmp_path: Path) -> None:
    # So long that it cannot end by itself; a line comes every hundred steps.
    command = [sys.executable, "-m", "tolaria", "train", "--task", "spirals", "--steps", "2000", "--device", "cpu", "--run-dir", "run"]
    env = os.environ | {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            seen = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, seen + told
    assert "to go on: tolaria resume run" in told


def test_a_signal_handler_is_left_as_it_was(in_process: InProcess) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert in_process("train", *SMALL, "--run-dir", "run") == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_damaged_checkpoint_is_told_of(
    in_process: InProcess, interrupt_after: Callable[[int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_after(8)
    assert in_process("train", *SMALL, "--persist", "3", "--run-dir", "run") == 130
    (tmp_path / "run" / "checkpoints" / "step-00000008" / "manifest.json").write_text("{}")
    # The interruption comes once more, on the way back to step 8.
    assert in_process("resume", "run") == 130
    told = capsys.readouterr().out
    assert "note: run/checkpoints/step-00000008: manifest.json is no manifest of a checkpoint" in told
    assert "resumed from the checkpoint of step 6, 6 steps to go" in told
    assert "stopped before step 8 of 12" in told


def test_the_doctor_looks_and_leaves_nothing_behind(in_process: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("doctor", "--runs", "runs/here") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["python", "packages", "cores"]
    assert lines[-1] == "verdict: ready to train"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("option", "is_governed"), [("--governor", True), ("--no-governor", False)])
def test_without_a_governor_there_are_no_snapshots(option: str, is_governed: bool, in_process: InProcess, tmp_path: Path) -> None:
    assert in_process("train", *SMALL, option, "--run-dir", "run") == 0
    assert ("snapshot_taken" in (tmp_path / "run" / "events.jsonl").read_text()) == is_governed


def test_ppo_gets_several_episodes_without_being_asked() -> None:
    config = Train(task="spirals", policy="ppo").config()
    assert (config.steps, config.episode_steps) == (200, 20)
    config = Train(task="spirals", policy="heuristic").config()
    assert (config.steps, config.episode_steps, config.envs) == (60, None, 4)
