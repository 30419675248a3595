import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

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


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought to the disk, in this order: names of files and folders of the test, a dot for its own folder."""
    names: list[str] = []

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        inside = (tmp_path, *tmp_path.rglob("*"))
        names.extend(str(path.relative_to(tmp_path)) for path in inside if os.path.samestat(path.lstat(), found))

    monkeypatch.setattr(os, "fsync", fsync)
    return names


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Descriptors that are open."""
    descriptors: set[int] = set()
    opening, closing = os.open, os.close

    def watched(*arguments: Any) -> int:
        descriptors.add(descriptor := opening(*arguments))
        return descriptor

    def close(descriptor: int) -> None:
        closing(descriptor)
        descriptors.discard(descriptor)

    monkeypatch.setattr(os, "open", watched)
    monkeypatch.setattr(os, "close", close)
    return descriptors


def test_a_folder_is_on_the_disk_with_all_that_leads_to_it(tmp_path: Path, synced: list[str]) -> None:
    for _ in range(2):
        disk.make_folder(tmp_path / "a" / "b")
        assert synced == ["a", "."]


def test_a_file_is_on_the_disk_before_its_name_is(tmp_path: Path, synced: list[str]) -> None:
    disk.store(tmp_path / "file", b"old")
    disk.replace(tmp_path / "file", b"new")
    assert synced == ["file", ".file.tmp", "."]


def test_whoever_the_umask_allows_may_read_and_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        disk.store(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666


def test_nothing_stays_open_whether_the_disk_works_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: set[int]) -> None:
    disk.replace(tmp_path / "file", b"12345")
    disk.read(tmp_path / "file", 5)
    assert opened == set()
    for name, work in (("write", lambda: disk.store(tmp_path / "new", b"1")), ("fsync", lambda: disk.sync(tmp_path))):
        monkeypatch.setattr(os, name, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            work()
    with pytest.raises(CheckpointDamaged):
        disk.read(tmp_path / "file", 4)
    assert opened == set()


def test_a_disk_that_takes_one_byte_at_a_time_gets_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:1]))
    disk.store(tmp_path / "file", b"some bytes")
    assert (tmp_path / "file").read_bytes() == b"some bytes"


def test_a_disk_that_takes_nothing_is_an_error_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda *_: 0)
    with pytest.raises(OSError, match="the disk takes no more") as refused:
        disk.store(tmp_path / "file", b"some bytes")
    assert (refused.value.errno, refused.value.filename) == (errno.EIO, str(tmp_path / "file"))


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


def test_a_folder_is_removed_with_all_that_is_in_it(tmp_path: Path) -> None:
    disk.make_folder(tmp_path / "folder" / "inner")
    disk.store(tmp_path / "folder" / "file", b"1")
    disk.remove(tmp_path / "folder" / "file")
    disk.remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "said"), [(OSError(errno.EACCES, "Permission denied"), "file: Permission denied"), (OSError("odd"), "file: odd")]
)
def test_what_cannot_be_opened_is_told_in_the_words_of_the_system(
    error: OSError, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CheckpointDamaged) as refused:
        disk.read(tmp_path / "file", 5)
    assert str(refused.value) == said


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


def test_a_file_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    monkeypatch.setattr(disk, "READ_BYTES", 2)
    assert disk.read(tmp_path / "file", 5) == b"12345"


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


def test_a_folder_that_is_held_is_not_waited_for_and_let_go_from_whatever_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waits"))
    holding = disk.held(tmp_path)
    taking = Thread(target=holding.__enter__)
    taking.start()
    taking.join()
    assert (tmp_path / ".lock").exists()
    with pytest.raises(ConfigError) as refused, disk.held(tmp_path):
        pass
    assert str(refused.value) == f"run-dir: found {str(tmp_path)!r}, expected a folder that no other process is writing into"
    holding.__exit__(None, None, None)
    with disk.held(tmp_path):
        assert True
