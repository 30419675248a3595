import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tolaria.errors import CheckpointDamaged
from tolaria.train import checkpoint

# Every way in which writing a checkpoint touches the disk.
OPERATIONS = ((os, "mkdir"), (os, "open"), (os, "fsync"), (os, "rename"), (os, "unlink"), (os, "rmdir"), (io, "open"))


def write(folder: Path, step: int, mark: float) -> Path:
    return checkpoint.write(folder, step, {"a": torch.full((3,), mark), "b": torch.tensor([1, 2])}, {"mark": mark, "names": ["x", None]})


def mark_of(folder: Path) -> float:
    tensors, facts, _ = checkpoint.read_newest(folder)
    assert torch.equal(tensors["a"], torch.full((3,), facts["mark"]))
    return float(facts["mark"])


class FailingDisk:
    """Raises at the n-th operation, counted from 0, and works before and after."""

    def __init__(self, fails_at: int) -> None:
        self.fails_at = fails_at
        self.count = 0

    def wrapped(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count - 1 == self.fails_at:
                raise OSError(28, "No space left on device")
            return operation(*args, **kwargs)

        return call


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tensors = {"env/0/w": torch.tensor([1.5, float("nan")]), "flags": torch.tensor([True]), "half": torch.ones(2, dtype=torch.bfloat16)}
    checkpoint.write(tmp_path, 7, tensors, {"step": 7, "deep": {"x": [1, None, "text"]}})
    read, facts, complaints = checkpoint.read_newest(tmp_path)
    assert {name: (tensor.dtype, tensor.tolist().__repr__()) for name, tensor in read.items()} == {
        name: (tensor.dtype, tensor.tolist().__repr__()) for name, tensor in tensors.items()
    }
    assert facts == {"step": 7, "deep": {"x": [1, None, "text"]}}
    assert json.loads((tmp_path / "step-00000007" / "manifest.json").read_text())["step"] == 7
    assert complaints == []


def test_tensors_that_share_storage_are_written_each(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    checkpoint.write(tmp_path, 1, {"whole": whole, "part": whole[2:4], "turned": whole.view(2, 3).T}, {})
    tensors, _, _ = checkpoint.read_newest(tmp_path)
    assert tensors["part"].tolist() == [2.0, 3.0]
    assert tensors["turned"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


def test_two_are_kept(tmp_path: Path) -> None:
    for step in (2, 4, 6, 10):
        write(tmp_path, step, float(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000006", "step-00000010"]
    assert mark_of(tmp_path) == 10.0


@pytest.mark.parametrize("step", [2, 3], ids=["in the place of the newest", "behind the newest"])
def test_a_disk_that_fails_at_any_operation_leaves_the_old_or_the_new_one_whole(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_at, seen = 0, set[float]()
    while True:
        folder = tmp_path / str(fails_at)
        write(folder, 2, 2.0)
        disk = FailingDisk(fails_at)
        with monkeypatch.context() as broken:
            for module, name in OPERATIONS:
                broken.setattr(module, name, disk.wrapped(getattr(module, name)))
            with contextlib.suppress(OSError):
                write(folder, step, 9.0)
        seen.add(mark_of(folder))
        # After the failure the next one is written as ever.
        write(folder, step, 11.0)
        assert mark_of(folder) == 11.0
        if disk.count <= fails_at:
            break
        fails_at += 1
    assert fails_at > 10
    assert seen == {2.0, 9.0}


@pytest.mark.parametrize("file", ["tensors.safetensors", "manifest.json"])
@pytest.mark.parametrize("is_told", [True, False], ids=["and the disk says so", "and the disk keeps silent"])
def test_a_torn_write_is_never_taken_for_a_checkpoint(file: str, is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 1, 1.0)

    def torn(path: Path, content: bytes) -> None:
        path.write_bytes(content[: len(content) // 2] if path.name == file else content)
        if is_told and path.name == file:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(checkpoint, "_store", torn)
        if is_told:
            with pytest.raises(OSError, match="Input/output"):
                write(tmp_path, 2, 2.0)
        else:
            write(tmp_path, 2, 2.0)
    assert mark_of(tmp_path) == 1.0


@pytest.mark.parametrize("file", ["tensors.safetensors", "manifest.json"])
@pytest.mark.parametrize("bits", [0x01, 0x20, 0x80])
def test_every_changed_byte_is_noticed(file: str, bits: int, tmp_path: Path) -> None:
    path = write(tmp_path, 1, 1.0) / file
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ bits]) + content[position + 1 :])
        with pytest.raises(CheckpointDamaged):
            checkpoint.read(path.parent)
    path.write_bytes(content)
    assert checkpoint.read(path.parent)[1]["mark"] == 1.0


@pytest.mark.parametrize("file", ["tensors.safetensors", "manifest.json"])
def test_every_shorter_or_longer_file_is_noticed(file: str, tmp_path: Path) -> None:
    path = write(tmp_path, 1, 1.0) / file
    content = path.read_bytes()
    for wrong in [*(content[:length] for length in range(len(content))), content + b"\0", content + b" "]:
        path.write_bytes(wrong)
        with pytest.raises(CheckpointDamaged):
            checkpoint.read(path.parent)


def test_a_damaged_newest_gives_way_to_the_older_with_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, 1, 1.0)
    newest = write(tmp_path, 2, 2.0)
    (newest / "tensors.safetensors").unlink()
    _, facts, complaints = checkpoint.read_newest(tmp_path)
    assert facts["mark"] == 1.0
    assert len(complaints) == 1
    assert str(newest) in complaints[0]


def test_without_a_whole_checkpoint_every_complaint_is_told(tmp_path: Path) -> None:
    for step in (1, 2):
        (write(tmp_path, step, 1.0) / "manifest.json").write_text("[]")
    with pytest.raises(CheckpointDamaged, match=r"step-00000002.*step-00000001"):
        checkpoint.read_newest(tmp_path)
    with pytest.raises(CheckpointDamaged, match="there is no checkpoint"):
        checkpoint.read_newest(tmp_path / "nowhere")


def test_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as future:
        future.setattr(checkpoint, "VERSION", 2)
        place = write(tmp_path, 1, 1.0)
    with pytest.raises(CheckpointDamaged, match="version 2, expected 1"):
        checkpoint.read(place)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    place = write(tmp_path, 1, 1.0)
    torch.save({"a": torch.zeros(3)}, place / "tensors.safetensors")
    with pytest.raises(CheckpointDamaged):
        checkpoint.read(place)


def test_a_checkpoint_that_was_being_replaced_is_found_until_the_new_one_stands(tmp_path: Path) -> None:
    write(tmp_path, 1, 1.0)
    place = write(tmp_path, 2, 2.0)
    place.rename(place.with_suffix(".replaced"))
    assert mark_of(tmp_path) == 2.0
    shutil.copytree(place.with_suffix(".replaced"), place)
    (place / "manifest.json").write_bytes(b"")
    assert mark_of(tmp_path) == 2.0
