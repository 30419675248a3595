import os
import subprocess
import sys
from pathlib import Path

import pytest

from tolaria.errors import CheckpointDamaged, ConfigError
from tolaria.train import disk

SRC = Path(__file__).parents[3] / "src"
HOLDING = """
import sys, time
from pathlib import Path
from tolaria.train import disk
with disk.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_disk_that_takes_one_byte_at_a_time_gets_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:1]))
    disk.store(tmp_path / "file", b"some bytes")
    assert (tmp_path / "file").read_bytes() == b"some bytes"


def test_a_disk_that_takes_nothing_is_an_error_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda *_: 0)
    with pytest.raises(OSError, match="the disk takes no more"):
        disk.store(tmp_path / "file", b"some bytes")


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        disk.store(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_file_is_replaced_at_once_and_what_a_failure_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_bytes(b"torn")
    for content in (b"one", b"two"):
        disk.replace(tmp_path / "file", content)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"two"}


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    disk.remove(tmp_path / "link")
    disk.remove(tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(("name", "said"), [("missing", "No such file"), ("folder", "no plain file"), ("link", "is a symbolic link")])
def test_only_plain_files_are_read(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(CheckpointDamaged, match=said):
        disk.read(tmp_path / name, 5)


def test_a_file_is_read_up_to_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert disk.read(tmp_path / "file", 5) == b"12345"
    with pytest.raises(CheckpointDamaged, match="file has 5 bytes, at most 4 were expected"):
        disk.read(tmp_path / "file", 4)


def test_a_disk_that_cannot_read_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int, count: int) -> bytes:
        raise OSError(5, "Input/output error")

    (tmp_path / "file").write_bytes(b"12345")
    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(CheckpointDamaged, match="file: Input/output error"):
        disk.read(tmp_path / "file", 5)


def test_two_processes_never_hold_one_folder_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(SRC)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], env=env, text=True, **pipes) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match="expected a folder that no other process is writing into"), disk.held(tmp_path):
            pass
        other.kill()
        other.wait()
    with disk.held(tmp_path):
        assert True
    with disk.held(tmp_path):
        assert True
