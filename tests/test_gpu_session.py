"""The session on a device where there is none, and no network either; and what it would run where there is one."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from gpu import __main__ as session
from gpu import certify, needs
from gpu.lease import held

ROOT = Path(__file__).parent.parent
NO_GPU = f"torch of {sys.executable} sees no GPU"


@cache
def no_network() -> tuple[str, ...]:
    """What to begin a command with, so that it has no network: a namespace of its own, where the system gives one."""
    # As root, or as somebody who may be root in there.
    for unshare in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        if shutil.which("unshare") and subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
            return unshare
    return ()


def without_anything(*words: str, required: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command with neither a GPU nor a network; an index that leads nowhere for whoever would install something."""
    hidden = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy") and name != session.REQUIRED}
    env = hidden | {"CUDA_VISIBLE_DEVICES": "", "PIP_INDEX_URL": "http://192.0.2.1/simple", "PIP_NO_INPUT": "1", "PIP_RETRIES": "0"}
    env |= {session.REQUIRED: "1"} if required else {}
    return subprocess.run([*no_network(), *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("required", "line", "code"), [(False, "nothing was run, because", 0), (True, "TOLARIA_REQUIRE_GPU is set, but", 1)]
)
def test_without_gpu_and_network_one_line_is_said_and_nothing_is_run(required: bool, line: str, code: int) -> None:
    ended = without_anything(sys.executable, "tests/gpu", required=required)
    assert (ended.stdout, ended.stderr, ended.returncode) == (f"gpu: {line} {NO_GPU}\n", "", code)


@pytest.mark.parametrize("required", [False, True])
def test_nox_says_the_same(required: bool) -> None:
    # A part of the group `test`; an environment that was made before has none.
    pytest.importorskip("nox")
    ended = without_anything(sys.executable, "-m", "nox", "-s", "gpu", required=required)
    wanted = f"TOLARIA_REQUIRE_GPU is set, but {NO_GPU}" if required else f"Session gpu skipped: {NO_GPU}"
    (told,) = [line for line in ended.stderr.splitlines() if NO_GPU in line]
    assert wanted in told
    assert ended.returncode == int(required)
    assert "pytest" not in ended.stderr


def test_there_is_really_no_network() -> None:
    """Otherwise the tests above show less than they say; where the system gives no namespace, there is no index to be reached."""
    ask = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=0.2)"
    assert without_anything(sys.executable, "-c", ask).returncode == 1


# What it needs.


def test_the_session_needs_what_the_project_needs_and_its_group() -> None:
    wanted = needs.requirements()
    assert {"torch>=2.11", "pydantic>=2.11", "filelock>=3.16", "hypothesis>=6.120", "pytest-timeout>=2.3"} <= set(wanted)
    # What runs these tests has all of it.
    assert needs.missing(wanted) == []


@pytest.mark.parametrize(
    ("requirement", "version", "lacking"),
    [
        ("torch>=2.11", "2.11.0", False),
        ("torch>=2.11", "2.13.0+cu130", False),
        ("torch>=2.11", "2.11.0a0+nv25.9", False),
        ("torch>=2.11", "2.9.1", True),
        ("pytest>=8.4,<9.2", "9.1.0", False),
        ("pytest>=8.4,<9.2", "9.2.0", True),
        ("pytest>=8.4,<9.2", "8.3.5", True),
        ("torch==2.13.0", "2.13.0", False),
        ("torch==2.13.0", "2.13.1", True),
        ("anything", "0.1", False),
    ],
)
def test_a_version_out_of_bounds_is_missing_and_said(
    monkeypatch: pytest.MonkeyPatch, requirement: str, version: str, lacking: bool
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: version)
    assert needs.missing([requirement]) == ([f"{requirement} (there is {version})"] if lacking else [])


@pytest.mark.parametrize(("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)])
def test_other_versions_of_python_are_refused(version: tuple[int, int], fits: bool) -> None:
    assert (needs.why_not_python(version) == "") is fits


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A machine that has a GPU, and every command that would be run there; scenarios fail."""
    ran: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 1 if "scenarios" in command else 0)

    monkeypatch.setattr(session, "why_no_gpu", lambda: "")
    monkeypatch.setattr(session, "machine", lambda: "imagined")
    monkeypatch.setattr("subprocess.run", run)
    return ran


def test_what_is_missing_is_said_in_one_line_and_nothing_is_run(
    with_gpu: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "requirements", lambda: ("torch>=2.11", "surely-not-there>=1", "torch>=99"))
    assert session.main([]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"gpu: nothing was run, because {sys.executable} lacks surely-not-there>=1, torch>=99 (there is ")
    assert with_gpu == []


# What it runs.


def test_every_part_is_run_also_after_one_that_failed_and_that_is_the_exit_code(
    with_gpu: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert session.main(["--into", str(tmp_path)]) == 1
    assert [next(part for part in ("pytest", "gpu.certify", "run", "bench", "report") if part in command) for command in with_gpu] == [
        "pytest",
        "gpu.certify",
        "run",
        "bench",
        "bench",
        "bench",
        "report",
    ]
    assert [command[4] for command in with_gpu[3:6]] == ["snapshot", "rollback", "training"]
    # Each has its file, and the report shows them.
    assert [Path(word).name for word in with_gpu[6] if word.endswith(".json")] == [
        "run.json",
        "device.json",
        "device.rollback.json",
        "device.training.json",
    ]
    assert json.loads((tmp_path / "session.json").read_text()) == {
        "exit codes": {"tests": 0, "certificate": 0, "scenarios": 1, "bench": 0, "rollback": 0, "training": 0, "report": 0}
    }
    assert capsys.readouterr().out == f"gpu: scenarios failed; {tmp_path}\n"


def test_some_parts_are_run_in_their_order(with_gpu: list[list[str]], tmp_path: Path) -> None:
    assert session.main(["--only", "bench,tests", "--into", str(tmp_path), "--sizes", "0.1M"]) == 0
    assert [command[2] for command in with_gpu] == ["pytest", "firedrill.cli"]
    assert with_gpu[1][-2:] == ["--sizes", "0.1M"]


def test_an_unknown_part_is_bad_input(with_gpu: list[list[str]]) -> None:
    assert session.main(["--only", "tests,prayers"]) == 2
    assert with_gpu == []


def options_of(words: Sequence[str]) -> set[str]:
    return {word for word in words if word.startswith("--")}


def test_every_command_of_firedrill_has_the_options_that_it_is_given(tmp_path: Path) -> None:
    for part, command in session.commands(session.PARTS, tmp_path, "0.1M", "60").items():
        if "firedrill.cli" in command:
            words = command[command.index("firedrill.cli") + 1 :]
            helped = subprocess.run(
                [sys.executable, "-m", "firedrill.cli", words[0], "--help"],
                env=session.environment(),
                capture_output=True,
                text=True,
                check=True,
            )
            assert all(option in helped.stdout for option in options_of(words)), part


def test_the_device_is_held_for_as_long_as_the_session_runs(tmp_path: Path) -> None:
    lock, said = tmp_path / "lock", list[str]()
    with held(said.append, lock):
        assert lock.read_text() == f"process {os.getpid()}\n"
        with lock.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert said == []


def test_who_comes_second_says_whom_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, said = tmp_path / "lock", list[str]()
    taken = fcntl.flock
    tries: list[int] = []

    def flock(file: int, how: int) -> None:
        tries.append(how)
        if len(tries) == 1:
            raise BlockingIOError
        taken(file, how)

    lock.write_text("process 7\n")
    monkeypatch.setattr(fcntl, "flock", flock)
    with held(said.append, lock):
        assert lock.read_text() == f"process {os.getpid()}\n"
    assert said == ["gpu: waiting for the device, which process 7 holds"]
    assert tries == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]


def test_a_certificate_says_what_was_the_same_and_under_which_settings(tmp_path: Path) -> None:
    path = tmp_path / "made" / "certificate.json"
    (certified,) = certify.write(path, "cpu", 4, ("spirals",))
    found = json.loads(path.read_text())
    assert certified.is_same
    assert (found["schema"], found["device"], found["settings"]["threads"]) == ("firedrill.certificate/1.0", "cpu", "1")
    assert found["tasks"] == [{"task": "spirals", "digests": list(certified.digests), "is_same": True}]
