import os
import threading
from pathlib import Path

import pytest

from firedrill.faults.disk_operations import Operation, answered


def test_operations_are_answered_in_their_order_and_done_as_ever(tmp_path: Path) -> None:
    told: list[str] = []

    def answer(operation: Operation) -> object:
        told.append(operation.name)
        return operation.done()

    with answered(answer):
        (tmp_path / "new").mkdir()
        descriptor = os.open(tmp_path / "new" / "file", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, b"abcd")
        os.fsync(descriptor)
        os.close(descriptor)
        (tmp_path / "new" / "file").rename(tmp_path / "new" / "other")
    assert told == ["mkdir", "open", "write", "fsync", "close", "rename"]
    assert (tmp_path / "new" / "other").read_bytes() == b"abcd"


def test_afterwards_nobody_stands_between(tmp_path: Path) -> None:
    before = os.write
    with pytest.raises(OSError, match="gone"), answered(lambda _: (_ for _ in ()).throw(OSError("gone"))):
        tmp_path.joinpath("new").mkdir()
    assert os.write is before


def test_other_threads_are_left_alone(tmp_path: Path) -> None:
    told: list[str] = []
    with answered(lambda operation: told.append(operation.name)):
        other = threading.Thread(target=(tmp_path / "other").mkdir)
        other.start()
        other.join()
    assert (tmp_path / "other").is_dir()
    assert told == []


def test_half_of_a_write_is_half_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with answered(lambda operation: operation.half_written() if operation.name == "write" else operation.done()):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        assert os.write(descriptor, b"abcdef") == 3
        os.close(descriptor)
    assert path.read_bytes() == b"abc"
