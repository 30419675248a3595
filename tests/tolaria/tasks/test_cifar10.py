import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tolaria.env.config import TrainingConfig
from tolaria.errors import CheckpointDamaged, ConfigError
from tolaria.host.host import Host
from tolaria.tasks.cifar10 import LAYOUT, TEST_FILE, TRAIN_FILES, cifar10
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer


class Executing:
    """What a pickle can do that is believed: call anything."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (Path("executed"), "")


def batch_of(seed: int, count: int = 20) -> dict[bytes, Any]:
    rng = np.random.default_rng(seed)
    return {
        b"batch_label": b"some batch",
        b"labels": [number % 10 for number in range(count)],
        b"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
        b"filenames": [b"x.png"] * count,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six files as the authors lay them out, with twenty images each."""
    place = tmp_path / LAYOUT
    place.mkdir()
    for seed, name in enumerate((*TRAIN_FILES, TEST_FILE)):
        (place / name).write_bytes(pickle.dumps(batch_of(seed), protocol=2))
    return tmp_path


def test_images_are_read_from_the_folder_or_from_the_one_around_it(folder: Path) -> None:
    outer, inner = cifar10(folder), cifar10(folder / LAYOUT)
    assert torch.equal(outer.train.inputs, inner.train.inputs)
    assert [len(split.targets) for split in (outer.train, outer.validation, outer.test)] == [96, 4, 20]
    assert outer.train.inputs.shape[1:] == (3, 32, 32)


def test_every_training_image_is_used_once_with_its_label(folder: Path) -> None:
    task = cifar10(folder)
    inputs = torch.cat([task.train.inputs, task.validation.inputs]).flatten(1)
    targets = torch.cat([task.train.targets, task.validation.targets])
    found = sorted((row.tobytes(), int(label)) for row, label in zip(inputs.numpy(), targets, strict=True))
    batches = [batch_of(seed) for seed in range(5)]
    pixels = np.concatenate([batch[b"data"] for batch in batches])
    scaled = torch.from_numpy(pixels).float().div(255.0).reshape(-1, 3, 1024)
    mean, deviation = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    expected = ((scaled - mean[:, None]) / deviation[:, None]).flatten(1).numpy()
    labels = [label for batch in batches for label in batch[b"labels"]]
    assert found == sorted((row.tobytes(), label) for row, label in zip(expected, labels, strict=True))


def test_the_host_takes_the_images(folder: Path) -> None:
    task = cifar10(folder)
    host = task.build_host(0)
    assert isinstance(host, Host)
    assert host(task.test.inputs).shape == (20, 10)


def test_the_digest_is_that_of_the_files_wherever_they_lie(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = shutil.copytree(folder, tmp_path_factory.mktemp("elsewhere") / "data")
    assert len(cifar10(folder).digest) == 64
    assert cifar10(moved).digest == cifar10(folder).digest


@pytest.mark.parametrize("name", [*TRAIN_FILES, TEST_FILE])
def test_other_images_in_any_file_have_another_digest(name: str, folder: Path) -> None:
    before = cifar10(folder).digest
    (folder / LAYOUT / name).write_bytes(pickle.dumps(batch_of(9), protocol=2))
    # As a process that has not read them yet.
    cifar10.cache_clear()
    assert cifar10(folder).digest != before


def test_a_run_is_not_resumed_on_other_images(folder: Path, tmp_path: Path) -> None:
    config = TrainConfig(task="cifar10", data=str(folder), envs=1, steps=2, policy="noop", training=TrainingConfig(batches_per_step=1))
    trainer = Trainer.start(config, tmp_path / "run")
    assert not trainer.train(lambda: True)
    trainer.close()
    (folder / LAYOUT / "data_batch_4").write_bytes(pickle.dumps(batch_of(9), protocol=2))
    cifar10.cache_clear()
    with pytest.raises(CheckpointDamaged, match=r"the cifar10 that the run began with, SHA-256 [0-9a-f]{64}"):
        Trainer.resume(tmp_path / "run")


def test_a_missing_folder_and_a_missing_file_are_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.*data_batch_1, .*test_batch cannot be found"):
        cifar10(folder / "nowhere")
    (folder / LAYOUT / "data_batch_3").unlink()
    with pytest.raises(ConfigError, match="its files; data_batch_3 cannot be found"):
        cifar10(folder)


def damaged(batch: dict[bytes, Any], **changes: Any) -> bytes:
    return pickle.dumps({**batch, **{key.encode(): value for key, value in changes.items()}}, protocol=2)


BAD: dict[str, bytes] = {
    "empty": b"",
    "no pickle": b"these are not the images",
    "no labels": pickle.dumps({b"data": np.zeros((1, 3072), np.uint8)}, protocol=2),
    "not images": damaged(batch_of(0), data=np.zeros((20, 3071), np.uint8)),
    "not bytes": damaged(batch_of(0), data=np.zeros((20, 3072), np.float32)),
    "a label too many": damaged(batch_of(0), labels=[0] * 21),
    "a label out of range": damaged(batch_of(0), labels=[10] * 20),
    "no image": damaged(batch_of(0), labels=[], data=np.zeros((0, 3072), np.uint8)),
    "executing": pickle.dumps({b"data": Executing(), b"labels": []}),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_is_no_batch_is_named_and_nothing_in_it_is_executed(fault: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / LAYOUT / "data_batch_2").write_bytes(BAD[fault])
    with pytest.raises(ConfigError, match="data_batch_2"):
        cifar10(folder)
    assert not Path("executed").exists()
