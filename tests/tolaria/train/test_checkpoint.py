import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from tolaria.errors import CheckpointDamaged
from tolaria.train import checkpoint
from tolaria.train.manifest import Facts, Tensors

FILES = ("tensors.safetensors", "manifest.json")


def write(folder: Path, step: int, mark: float) -> Path:
    return checkpoint.write(folder, step, {"a": torch.full((3,), mark), "b": torch.tensor([1, 2])}, {"mark": mark, "names": ["x", None]})


def as_read(tensors: Tensors, facts: Facts) -> tuple[Tensors, Facts]:
    return tensors, facts


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mark_of(folder: Path) -> float:
    (tensors, facts), _ = checkpoint.read_newest(folder, as_read)
    assert torch.equal(tensors["a"], torch.full((3,), facts["mark"]))
    return float(facts["mark"])


def flip(path: Path, bit: int) -> None:
    with path.open("r+b", buffering=0) as file:
        file.seek(bit // 8)
        byte = file.read(1)[0] ^ 1 << bit % 8
        file.seek(bit // 8)
        file.write(bytes([byte]))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tensors = {"env/0/w": torch.tensor([1.5, float("nan")]), "flags": torch.tensor([True]), "half": torch.ones(2, dtype=torch.bfloat16)}
    checkpoint.write(tmp_path, 7, tensors, {"step": 7, "deep": {"x": [1, None, "text"]}})
    (read, facts), complaints = checkpoint.read_newest(tmp_path, as_read)
    assert {name: (tensor.dtype, tensor.tolist().__repr__()) for name, tensor in read.items()} == {
        name: (tensor.dtype, tensor.tolist().__repr__()) for name, tensor in tensors.items()
    }
    assert facts == {"step": 7, "deep": {"x": [1, None, "text"]}}
    assert json.loads((tmp_path / "step-00000007" / "manifest.json").read_text())["step"] == 7
    assert complaints == []


def test_tensors_that_share_storage_are_written_each(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    checkpoint.write(tmp_path, 1, {"whole": whole, "part": whole[2:4], "turned": whole.view(2, 3).T}, {})
    (tensors, _), _ = checkpoint.read_newest(tmp_path, as_read)
    assert tensors["part"].tolist() == [2.0, 3.0]
    assert tensors["turned"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


def test_two_are_kept_and_the_newest_is_the_one_of_the_highest_step(tmp_path: Path) -> None:
    for step in (2, 4, 99_999_999, 100_000_000):
        write(tmp_path, step, float(step % 1000))
    assert names(tmp_path) == ["step-100000000", "step-99999999"]
    assert mark_of(tmp_path) == 0.0


def test_every_flipped_bit_is_noticed_and_the_older_one_is_taken(tmp_path: Path) -> None:
    write(tmp_path, 1, 1.0)
    newest = write(tmp_path, 2, 2.0)
    for file in FILES:
        path = newest / file
        for bit in range(8 * path.stat().st_size):
            flip(path, bit)
            (_, facts), complaints = checkpoint.read_newest(tmp_path, as_read)
            assert (facts["mark"], len(complaints)) == (1.0, 1), (file, bit)
            assert complaints[0].startswith(f"{newest}: ")
            flip(path, bit)
    assert mark_of(tmp_path) == 2.0


@pytest.mark.parametrize("file", FILES)
def test_every_shorter_or_longer_file_is_noticed(file: str, tmp_path: Path) -> None:
    path = write(tmp_path, 1, 1.0) / file
    content = path.read_bytes()
    for wrong in [*(content[:length] for length in range(len(content))), content + b"\0", content + b" "]:
        path.write_bytes(wrong)
        with pytest.raises(CheckpointDamaged):
            checkpoint.read(path.parent)


def test_without_a_whole_checkpoint_every_complaint_is_told(tmp_path: Path) -> None:
    for step in (1, 2):
        (write(tmp_path, step, 1.0) / "manifest.json").write_text("[]")
    with pytest.raises(CheckpointDamaged) as refused:
        checkpoint.read_newest(tmp_path, as_read)
    said = [f"{tmp_path / name}: manifest.json is no manifest of a checkpoint" for name in ("step-00000002", "step-00000001")]
    assert str(refused.value) == "; ".join(said)
    with pytest.raises(CheckpointDamaged, match="there is no checkpoint, begin anew"):
        checkpoint.read_newest(tmp_path / "nowhere", as_read)


def test_what_is_not_accepted_gives_way_to_the_older_with_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, 1, 1.0)
    newest = write(tmp_path, 2, 2.0)

    def accept(tensors: Tensors, facts: Facts) -> float:
        if facts["mark"] == 2.0:
            raise CheckpointDamaged("two is too many")
        return float(facts["mark"])

    assert checkpoint.read_newest(tmp_path, accept) == (1.0, [f"{newest}: two is too many"])


def test_a_checkpoint_that_was_being_replaced_is_found_until_the_new_one_stands(tmp_path: Path) -> None:
    write(tmp_path, 1, 1.0)
    place = write(tmp_path, 2, 2.0)
    place.rename(place.with_suffix(".replaced"))
    assert mark_of(tmp_path) == 2.0
    shutil.copytree(place.with_suffix(".replaced"), place)
    (place / "manifest.json").write_bytes(b"")
    assert mark_of(tmp_path) == 2.0


def test_a_checkpoint_of_the_same_step_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    place = write(tmp_path, 1, 1.0)
    # As a replacement leaves it that was cut off at its end.
    shutil.copytree(place, place.with_suffix(".replaced"))
    for mark in (2.0, 3.0):
        write(tmp_path, 1, mark)
        assert (mark_of(tmp_path), names(tmp_path)) == (mark, ["step-00000001"])


def test_the_next_checkpoint_sweeps_away_what_a_failure_left(tmp_path: Path) -> None:
    for step in (2, 9):
        (tmp_path / f".step-{step:08d}.tmp").mkdir()
    write(tmp_path, 2, 2.0)
    assert names(tmp_path) == ["step-00000002"]


def test_the_next_checkpoint_finishes_a_replacement_that_was_cut_off(tmp_path: Path) -> None:
    place = write(tmp_path, 1, 1.0)
    place.rename(place.with_suffix(".replaced"))
    place = write(tmp_path, 2, 2.0)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]
    shutil.copytree(place, place.with_suffix(".replaced"))
    write(tmp_path, 3, 3.0)
    assert names(tmp_path) == ["step-00000002", "step-00000003"]


@pytest.mark.parametrize("file", FILES)
def test_a_link_in_the_place_of_a_file_is_not_followed(file: str, tmp_path: Path) -> None:
    place = write(tmp_path / "checkpoints", 1, 1.0)
    (place / file).rename(tmp_path / "outside")
    (place / file).symlink_to("../../outside")
    with pytest.raises(CheckpointDamaged, match=f"{file}: is a symbolic link"):
        checkpoint.read(place)


def test_a_link_in_the_place_of_a_checkpoint_is_neither_followed_nor_emptied(tmp_path: Path) -> None:
    outside = write(tmp_path / "elsewhere", 1, 1.0)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "step-00000001").symlink_to(outside)
    with pytest.raises(CheckpointDamaged) as refused:
        checkpoint.read_newest(folder, as_read)
    assert str(refused.value) == f"{folder / 'step-00000001'}: is a symbolic link"
    for step in (2, 3):
        write(folder, step, float(step))
    assert names(folder) == ["step-00000002", "step-00000003"]
    assert mark_of(tmp_path / "elsewhere") == 1.0


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    place = write(tmp_path, 1, 1.0)
    (place / "manifest.json").unlink()
    os.mkfifo(place / "manifest.json")
    with pytest.raises(CheckpointDamaged, match=r"manifest\.json is no plain file"):
        checkpoint.read(place)


def test_a_file_of_an_absurd_size_is_not_read(tmp_path: Path) -> None:
    place = write(tmp_path, 1, 1.0)
    for file in FILES:
        content = (place / file).read_bytes()
        # It holds no blocks, only a length; to read it would take all memory.
        os.truncate(place / file, 1 << 42)
        with pytest.raises(CheckpointDamaged, match=f"{file} has 4398046511104 bytes, at most"):
            checkpoint.read(place)
        (place / file).write_bytes(content)


def test_a_checkpoint_in_the_place_of_another_is_not_taken_for_it(tmp_path: Path) -> None:
    write(tmp_path, 1, 1.0).rename(tmp_path / "step-00000005")
    write(tmp_path, 2, 2.0)
    (_, facts), complaints = checkpoint.read_newest(tmp_path, as_read)
    assert facts["mark"] == 2.0
    assert complaints == [f"{tmp_path / 'step-00000005'}: it is the checkpoint of step 1"]


def damaged(place: Path) -> Path:
    (place / "manifest.json").write_bytes(b"")
    return place


def test_two_that_can_be_read_are_kept_after_one_was_refused_which_stays_for_a_look(tmp_path: Path) -> None:
    write(tmp_path, 3, 3.0)
    place = damaged(write(tmp_path, 6, 6.0))
    (_, facts), complaints = checkpoint.take_up(tmp_path, as_read)
    assert (facts["mark"], len(complaints)) == (3.0, 1)
    assert complaints[0].startswith(f"{place}: manifest.json: ")
    write(tmp_path, 9, 9.0)
    assert names(tmp_path) == ["step-00000003", "step-00000006.aside", "step-00000009"]
    damaged(tmp_path / "step-00000009")
    assert mark_of(tmp_path) == 3.0


def test_what_is_set_aside_goes_when_it_is_older_than_the_two(tmp_path: Path) -> None:
    write(tmp_path, 3, 3.0)
    checkpoint.set_aside([write(tmp_path, 99_999_999, 0.0)])
    write(tmp_path, 99_999_998, 1.0)
    write(tmp_path, 99_999_999, 2.0)
    assert names(tmp_path) == ["step-99999998", "step-99999999", "step-99999999.aside"]
    write(tmp_path, 100_000_000, 3.0)
    assert names(tmp_path) == ["step-100000000", "step-99999999", "step-99999999.aside"]
    write(tmp_path, 100_000_001, 4.0)
    assert names(tmp_path) == ["step-100000000", "step-100000001"]


def test_one_step_may_be_set_aside_twice(tmp_path: Path) -> None:
    for mark in (1.0, 2.0):
        checkpoint.set_aside([write(tmp_path, 5, mark)])
    assert names(tmp_path) == ["step-00000005.aside"]
    assert json.loads((tmp_path / "step-00000005.aside" / "manifest.json").read_text())["facts"]["mark"] == 2.0
    assert checkpoint.places(tmp_path) == []


def test_where_none_is_accepted_all_are_left_as_they_are(tmp_path: Path) -> None:
    for step in (1, 2):
        damaged(write(tmp_path, step, 1.0))
    with pytest.raises(CheckpointDamaged):
        checkpoint.take_up(tmp_path, as_read)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_the_one_that_was_being_replaced_by_a_damaged_one_takes_its_place_again(tmp_path: Path) -> None:
    place = write(tmp_path, 2, 2.0)
    shutil.copytree(place, place.with_suffix(".replaced"))
    damaged(place)
    assert checkpoint.take_up(tmp_path, as_read)[0][1]["mark"] == 2.0
    write(tmp_path, 3, 3.0)
    assert names(tmp_path) == ["step-00000002", "step-00000002.aside", "step-00000003"]
    assert checkpoint.read(place)[1]["mark"] == 2.0


def test_one_that_is_written_behind_two_newer_ones_stays(tmp_path: Path) -> None:
    for step in (9, 12, 6):
        write(tmp_path, step, float(step))
    assert names(tmp_path) == ["step-00000006", "step-00000009", "step-00000012"]
    checkpoint.set_aside(checkpoint.newer(tmp_path, 6))
    assert mark_of(tmp_path) == 6.0
