import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from tolaria.train import doctor
from tolaria.train.doctor import Standing, check_disk, check_python


def test_a_disk_that_keeps_what_is_written_is_good(tmp_path: Path) -> None:
    check = check_disk(tmp_path / "not" / "yet")
    assert check.standing is Standing.GOOD
    assert check.found.startswith(f"{tmp_path}: 1 MiB written")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_does_not_synchronize_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    check = check_disk(tmp_path)
    assert (check.standing, check.found) == (Standing.BAD, f"{tmp_path}: Input/output error")


def test_a_disk_that_is_nearly_full_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_MIN", 1 << 60)
    assert check_disk(tmp_path).standing is Standing.NOTE


def test_an_interpreter_that_is_too_old_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_python().standing is Standing.GOOD
    monkeypatch.setattr(doctor, "PYTHON_MIN", (99, 0))
    assert check_python().standing is Standing.BAD
