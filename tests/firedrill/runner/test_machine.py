import subprocess
from pathlib import Path

import pytest

from firedrill.runner.machine import commit, machine_class


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_class_names_system_cores_and_the_gpu(programs: Path) -> None:
    bare = machine_class()
    assert bare.endswith("-cores")
    (programs / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3'\n")
    (programs / "nvidia-smi").chmod(0o755)
    assert machine_class() == f"{bare}-nvidia-h100-80gb-hbm3"


def test_outside_of_a_repository_and_without_git_there_is_no_commit(programs: Path) -> None:
    assert commit() == ""


def test_a_commit_that_was_changed_has_a_plus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("a")
    for arguments in (("init", "-q"), ("add", "a"), ("-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "a")):
        subprocess.run(["git", *arguments], check=True)
    clean = commit()
    assert len(clean) == 40
    (tmp_path / "a").write_text("b")
    assert commit() == f"{clean}+"
