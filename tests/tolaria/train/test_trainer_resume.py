"""Which checkpoint a run goes on from, and what becomes of the others."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tolaria.env.config import TrainingConfig
from tolaria.errors import CheckpointDamaged
from tolaria.train import checkpoint
from tolaria.train.config import TrainConfig, save
from tolaria.train.trainer import Trainer

Configure = Callable[..., TrainConfig]


def stopped(trainer: Trainer, step: int) -> None:
    """Trained until a step, and closed."""
    assert trainer.train(lambda: trainer.run.step == step) == (step == trainer.run.config.steps)
    trainer.close()


def resumed(folder: Path, step: int) -> list[str]:
    """Gone on from that step to the end; what was said of it."""
    trainer, remarks = Trainer.resume(folder)
    assert trainer.run.step == step
    stopped(trainer, trainer.run.config.steps)
    return remarks


def stored(folder: Path) -> list[str]:
    return [path.name for path in checkpoint.places(folder / "checkpoints")]


def test_a_damaged_newest_checkpoint_is_told_of_and_passed_over(small_config: Configure, tmp_path: Path) -> None:
    stopped(Trainer.start(small_config(envs=1, steps=10, checkpoint_every=3), tmp_path), 8)
    damaged = tmp_path / "checkpoints" / "step-00000008" / "tensors.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    remarks = resumed(tmp_path, 6)
    assert [text.split(":")[0] for text in remarks] == [str(damaged.parent), str(tmp_path / "events.jsonl")]


def test_a_checkpoint_that_is_whole_but_does_not_fit_gives_way_to_the_older(small_config: Configure, tmp_path: Path) -> None:
    stopped(Trainer.start(small_config(envs=1, steps=10, checkpoint_every=3), tmp_path), 8)
    tensors, facts = checkpoint.read(tmp_path / "checkpoints" / "step-00000008")
    tensors["env/0/host/head.weight"] = tensors["env/0/host/head.weight"].double()
    checkpoint.write(tmp_path / "checkpoints", 8, tensors, facts)
    remarks = resumed(tmp_path, 6)
    assert "step-00000008: it does not fit the run: env/0/host/head.weight is float64" in remarks[0]


def test_two_that_can_be_read_are_kept_after_one_was_passed_over(small_config: Configure, tmp_path: Path) -> None:
    stopped(Trainer.start(small_config(envs=1, steps=10, checkpoint_every=3), tmp_path), 7)
    (tmp_path / "checkpoints" / "step-00000007" / "manifest.json").write_bytes(b"")
    trainer, _ = Trainer.resume(tmp_path)
    stopped(trainer, 8)
    assert stored(tmp_path) == ["step-00000006", "step-00000008"]
    assert (tmp_path / "checkpoints" / "step-00000007.aside").is_dir()


def test_a_relative_folder_stays_where_it_was_whatever_directory_the_process_goes_to(
    small_config: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    trainer = Trainer.start(small_config(envs=1, steps=4, checkpoint_every=2), Path("run"))
    monkeypatch.chdir(tmp_path / "there")
    stopped(trainer, 4)
    assert stored(tmp_path / "here" / "run") == ["step-00000002", "step-00000004"]
    assert list((tmp_path / "there").iterdir()) == []


def test_the_checkpoints_of_another_run_are_refused_and_left_alone(small_config: Configure, tmp_path: Path) -> None:
    for seed in (0, 77):
        stopped(Trainer.start(small_config(envs=1, seed=seed, checkpoint_every=3), tmp_path / str(seed)), 4)
    shutil.rmtree(tmp_path / "0" / "checkpoints")
    shutil.copytree(tmp_path / "77" / "checkpoints", tmp_path / "0" / "checkpoints")
    with pytest.raises(CheckpointDamaged) as refused:
        Trainer.resume(tmp_path / "0")
    said = "it belongs to another run than config.json: seed: found 77, expected 0"
    places = [tmp_path / "0" / "checkpoints" / name for name in ("step-00000004", "step-00000003")]
    assert str(refused.value) == "; ".join(f"{place}: {said}" for place in places)
    assert all(place.is_dir() for place in places)


def test_a_run_is_not_resumed_with_another_seed_than_it_began_with(small_config: Configure, tmp_path: Path) -> None:
    config = small_config(envs=1)
    stopped(Trainer.start(config, tmp_path), 4)
    save(replace(config, seed=5), tmp_path / "config.json")
    with pytest.raises(CheckpointDamaged, match=r"another run than config\.json: seed: found 0, expected 5"):
        Trainer.resume(tmp_path)


def test_how_often_checkpoints_come_may_be_changed_on_the_way(small_config: Configure, tmp_path: Path) -> None:
    config = small_config(envs=1)
    stopped(Trainer.start(config, tmp_path), 4)
    save(replace(config, checkpoint_every=2), tmp_path / "config.json")
    assert resumed(tmp_path, 4) == []
    assert stored(tmp_path) == ["step-00000010", "step-00000012"]


def test_a_checkpoint_of_before_they_said_whose_they_are_is_resumed(small_config: Configure, tmp_path: Path) -> None:
    stopped(Trainer.start(small_config(envs=1), tmp_path), 4)
    tensors, facts = checkpoint.read(tmp_path / "checkpoints" / "step-00000004")
    del facts["config"]
    checkpoint.write(tmp_path / "checkpoints", 4, tensors, facts)
    assert resumed(tmp_path, 4) == []


def test_a_whole_number_in_the_place_of_a_fraction_is_the_same_run(small_config: Configure, tmp_path: Path) -> None:
    config = small_config(envs=1, steps=4, training=TrainingConfig(batches_per_step=2, weight_decay=0))
    stopped(Trainer.start(config, tmp_path / "whole"), 4)
    stopped(Trainer.start(config, tmp_path / "parts"), 2)
    assert resumed(tmp_path / "parts", 2) == []
    whole, parts = (folder / "checkpoints" / "step-00000004" / "manifest.json" for folder in (tmp_path / "whole", tmp_path / "parts"))
    assert whole.read_bytes() == parts.read_bytes()
