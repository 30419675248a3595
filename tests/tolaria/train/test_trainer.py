import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tolaria.env.vector_env import VectorEnv
from tolaria.errors import CheckpointDamaged, ConfigError, WorkerLost
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.stage import Stage
from tolaria.seams import NO_TAPS
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import History, HistoryDamaged, read
from tolaria.telemetry.run_events import EpisodeFinished, RunAborted, RunFinished, RunStarted, StorageFailed
from tolaria.train.config import Move, TrainConfig, save
from tolaria.train.trainer import Trainer, commit, version_of

Configure = Callable[..., TrainConfig]

STEPS = 14
GATES = GateConfig(training_steps_min=1, contribution_min=-1.0, prune_age_min=1, magnitude_max=100.0, seeds_max=2)


def move(step: int, op: Op, slot: str, **factors: Any) -> Move:
    return Move(step, None, Action(op=op, slot=slot, **factors))


# One seed goes all the way, a second is pruned and its slot rests; one decision is refused and lies outside of the action space.
WHOLE_LIFE = (
    move(0, Op.GERMINATE, "s0", blueprint="residual_mlp", tempo=2, alpha_target=0.9),
    move(1, Op.ADVANCE, "s0"),
    move(2, Op.GERMINATE, "s1", blueprint="mlp_norm"),
    move(3, Op.ADVANCE, "s0"),
    move(4, Op.PRUNE, "s1"),
    move(5, Op.ADVANCE, "s0"),
    move(6, Op.RETARGET, "s0", alpha_target=0.5, alpha_speed=1),
    move(7, Op.ADVANCE, "s0"),
    move(9, Op.FOSSILIZE, "s0"),
    move(10, Op.GERMINATE, "s9", blueprint="mlp_norm"),
    move(12, Op.GERMINATE, "s1", blueprint="linear_bottleneck"),
)


@pytest.fixture
def configs(small_config: Configure) -> dict[str, TrainConfig]:
    """Runs of 14 steps that have every kind of state to resume from."""
    return {
        "every stage": small_config("scripted", envs=2, steps=STEPS, script=WHOLE_LIFE, gates=GATES),
        "gardener": small_config("heuristic", envs=2, steps=STEPS),
        "learner": small_config("ppo", envs=2, steps=STEPS, rollout_steps=5, episode_steps=6),
        "chance": small_config("random", envs=2, steps=STEPS, episode_steps=6),
        "stack": small_config("random", envs=3, steps=STEPS, backend="stacked"),
    }


@pytest.fixture(autouse=True)
def no_synchronizing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about power failures, and a disk takes its time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Interruptions:
    """Asked between steps: stops before one of them, breaks the host of environment 1 before another, copies the run before every one."""

    def __init__(self, trainer: Trainer, stop: int | None = None, strike: int | None = None, copies: Path | None = None) -> None:
        self.trainer = trainer
        self.stop = stop
        self.strike = strike
        self.copies = copies

    def __call__(self) -> bool:
        step = self.trainer.run.step
        if self.copies is not None:
            assert self.trainer.folder is not None
            self.trainer.save()
            shutil.copytree(self.trainer.folder, self.copies / str(step))
        if step == self.strike:
            with torch.no_grad():
                next(self.trainer.run.envs.envs[1].training.host.head.parameters()).fill_(float("nan"))
        return step == self.stop


def train_whole(config: TrainConfig, folder: Path, strike: int | None = None, copies: Path | None = None) -> None:
    trainer = Trainer.start(config, folder)
    assert trainer.train(Interruptions(trainer, strike=strike, copies=copies))
    trainer.close()


def resume_copy(folder: Path, step: int, strike: int | None = None) -> None:
    trainer, remarks = Trainer.resume(folder)
    assert (trainer.run.step, remarks) == (step, [])
    assert trainer.train(Interruptions(trainer, strike=strike))
    trainer.close()


def assert_same(whole: Path, parts: Path) -> None:
    assert (parts / "events.jsonl").read_bytes() == (whole / "events.jsonl").read_bytes()
    name = max((whole / "checkpoints").iterdir()).name
    for file in ("tensors.safetensors", "manifest.json"):
        assert (parts / "checkpoints" / name / file).read_bytes() == (whole / "checkpoints" / name / file).read_bytes()


@pytest.mark.parametrize("name", ["every stage", "gardener", "learner", "chance", "stack"])
def test_a_run_that_is_resumed_at_any_step_ends_as_if_it_had_never_stopped(
    name: str, configs: dict[str, TrainConfig], tmp_path: Path
) -> None:
    train_whole(configs[name], tmp_path / "whole")
    train_whole(configs[name], tmp_path / "copied", copies=tmp_path)
    assert_same(tmp_path / "whole", tmp_path / "copied")
    for step in range(STEPS):
        resume_copy(tmp_path / str(step), step)
        assert_same(tmp_path / "whole", tmp_path / str(step))


@pytest.mark.parametrize("name", ["every stage", "learner", "stack"])
def test_how_many_processes_step_the_environments_changes_no_byte(name: str, configs: dict[str, TrainConfig], tmp_path: Path) -> None:
    train_whole(configs[name], tmp_path / "whole", strike=7)
    trainer = Trainer.start(configs[name], tmp_path / "shared", workers=2)
    assert not trainer.train(Interruptions(trainer, stop=10, strike=7))
    trainer.close()
    assert multiprocessing.active_children() == []
    resume_copy(tmp_path / "shared", 10)
    assert_same(tmp_path / "whole", tmp_path / "shared")


def test_a_worker_that_dies_is_told_of_and_the_run_goes_on_from_its_checkpoint(configs: dict[str, TrainConfig], tmp_path: Path) -> None:
    train_whole(configs["every stage"], tmp_path / "whole")
    trainer = Trainer.start(configs["every stage"], tmp_path / "shared", workers=2)

    def kill() -> bool:
        if trainer.run.step == 6:
            for child in multiprocessing.active_children():
                child.kill()
        return False

    with pytest.raises(WorkerLost):
        trainer.train(kill)
    trainer.close()
    assert isinstance(trainer.run.history.events[-1], RunAborted)
    trainer, _ = Trainer.resume(tmp_path / "shared", workers=2)
    assert trainer.train()
    trainer.close()
    assert_same(tmp_path / "whole", tmp_path / "shared")


def test_graphs_are_refused_where_no_device_replays_them_before_anything_is_written(small_config: Configure, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^backend: found 'graphs on cpu', expected a CUDA device"):
        Trainer.start(small_config("heuristic", backend="graphs"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=r"^backend: found"):
        Trainer.tapped(small_config("heuristic", backend="graphs"), History(), NO_TAPS)


@pytest.mark.parametrize("workers", [0, -1])
def test_a_run_without_a_process_is_refused_before_anything_is_written(small_config: Configure, tmp_path: Path, workers: int) -> None:
    with pytest.raises(ConfigError, match=r"^workers: found"):
        Trainer.start(small_config("heuristic"), tmp_path / "run", workers=workers)
    assert not (tmp_path / "run").exists()


def test_a_stop_that_was_asked_for_leaves_a_run_to_resume(configs: dict[str, TrainConfig], tmp_path: Path) -> None:
    train_whole(configs["learner"], tmp_path / "whole")
    trainer = Trainer.start(configs["learner"], tmp_path / "stopped")
    assert not trainer.train(Interruptions(trainer, stop=8))
    trainer.close()
    resume_copy(tmp_path / "stopped", 8)
    assert_same(tmp_path / "whole", tmp_path / "stopped")


def test_the_run_with_every_stage_has_every_stage(configs: dict[str, TrainConfig]) -> None:
    trainer = Trainer.start(configs["every stage"], None)
    assert trainer.train()
    entered = {event.stage_to for event in trainer.run.history.events if isinstance(event, StageChanged)}
    assert entered == set(Stage)


# In step 7 a seed is blended, and in step 11 it is a fossil.
@pytest.mark.parametrize(("name", "strike"), [("every stage", 7), ("every stage", 11), ("learner", 7)])
def test_a_rollback_before_or_after_the_resumption_is_the_same(
    name: str, strike: int, configs: dict[str, TrainConfig], tmp_path: Path
) -> None:
    train_whole(configs[name], tmp_path / "whole", strike, tmp_path)
    rollbacks = [event.at.step for event in read(tmp_path / "whole" / "events.jsonl") if isinstance(event, RolledBack)]
    assert rollbacks == [strike]
    for step in range(1, STEPS):
        resume_copy(tmp_path / str(step), step, strike)
        assert_same(tmp_path / "whole", tmp_path / str(step))


def test_two_runs_of_one_config_are_one_run(configs: dict[str, TrainConfig], tmp_path: Path) -> None:
    for folder in ("one", "two"):
        train_whole(configs["learner"], tmp_path / folder)
    assert_same(tmp_path / "one", tmp_path / "two")


def test_checkpoints_come_when_they_are_due(small_config: Configure, tmp_path: Path) -> None:
    train_whole(small_config(envs=1, steps=7, checkpoint_every=3), tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000006", "step-00000007"]


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(small_config: Configure, tmp_path: Path) -> None:
    config = small_config(envs=2, steps=10, checkpoint_every=4)
    train_whole(config, tmp_path / "whole")
    killed = Trainer.start(config, tmp_path / "killed")
    assert not killed.train(Interruptions(killed, 7))
    killed.close()
    # What a power failure leaves: the last checkpoint was not yet there, and the history ends in the middle of a line.
    shutil.rmtree(tmp_path / "killed" / "checkpoints" / "step-00000007")
    events = tmp_path / "killed" / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-20])
    resumed, remarks = Trainer.resume(tmp_path / "killed")
    assert resumed.run.step == 4
    assert len(remarks) == 1
    assert "torn last line" in remarks[0]
    assert resumed.train()
    resumed.close()
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_a_run_that_is_killed_in_its_first_step_is_resumed(small_config: Configure, tmp_path: Path) -> None:
    config = small_config(envs=2, steps=4)
    train_whole(config, tmp_path / "whole")
    killed = Trainer.start(config, tmp_path / "killed")

    def killing() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed.train(killing)
    killed.close()
    resume_copy(tmp_path / "killed", 0)
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_one_folder_is_written_by_one_trainer(small_config: Configure, tmp_path: Path) -> None:
    config = small_config(envs=1, steps=4)
    trainer = Trainer.start(config, tmp_path)
    assert not trainer.train(Interruptions(trainer, 2))
    for second in (lambda: Trainer.resume(tmp_path), lambda: Trainer.start(config, tmp_path)):
        with pytest.raises(ConfigError, match="a folder that no other process is writing into"):
            second()
    trainer.close()
    resume_copy(tmp_path, 2)


def test_a_disk_that_fails_for_a_while_costs_a_checkpoint_and_not_the_run(
    small_config: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer.start(small_config(envs=1, steps=6, checkpoint_every=2), tmp_path)
    mkdir = os.mkdir

    def failing(path: os.PathLike[str], *rest: int) -> None:
        if Path(path).name == ".step-00000002.tmp":
            raise OSError(28, "No space left on device")
        mkdir(path, *rest)

    monkeypatch.setattr(os, "mkdir", failing)
    assert trainer.train()
    trainer.close()
    (failed,) = (event for event in read(tmp_path / "events.jsonl") if isinstance(event, StorageFailed))
    assert (failed.at.step, failed.reason) == (2, "OSError: [Errno 28] No space left on device")
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000004", "step-00000006"]


def test_a_run_that_died_before_its_last_word_says_every_last_word_once(small_config: Configure, tmp_path: Path) -> None:
    config = small_config(envs=2, steps=4)
    train_whole(config, tmp_path)
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines[:-1]))
    resumed, _ = Trainer.resume(tmp_path)
    assert resumed.train()
    resumed.close()
    assert (tmp_path / "events.jsonl").read_bytes() == b"".join(lines)
    assert sum(isinstance(event, EpisodeFinished) for event in read(tmp_path / "events.jsonl")) == 2


def test_a_history_that_is_shorter_than_its_checkpoint_is_refused(small_config: Configure, tmp_path: Path) -> None:
    train_whole(small_config(envs=1, steps=4), tmp_path)
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines[:3]))
    with pytest.raises(HistoryDamaged):
        Trainer.resume(tmp_path)


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(small_config: Configure, tmp_path: Path) -> None:
    train_whole(small_config(envs=1, steps=2), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=r"events\.jsonl"):
        Trainer.start(small_config(envs=1, steps=3), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(small_config: Configure, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="device"):
        Trainer.start(small_config(device="cuda:99"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_no_run_cannot_be_resumed(small_config: Configure, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        Trainer.resume(tmp_path)
    save(small_config(), tmp_path / "config.json")
    with pytest.raises(CheckpointDamaged, match="there is no checkpoint"):
        Trainer.resume(tmp_path)


def test_without_a_folder_nothing_is_stored(small_config: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = Trainer.start(small_config(envs=1, steps=2, checkpoint_every=1), None)
    assert trainer.train()
    assert trainer.save() is None
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_the_last_event_and_goes_on_to_the_caller(
    small_config: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer.start(small_config(envs=1), tmp_path)

    def explode(self: VectorEnv) -> None:
        raise ZeroDivisionError("as wanted")

    # Outside an environment: one that raises is retired, and the run goes on.
    monkeypatch.setattr(VectorEnv, "views", explode)
    with pytest.raises(ZeroDivisionError):
        trainer.train()
    trainer.close()
    last = read(tmp_path / "events.jsonl")[-1]
    assert isinstance(last, RunAborted)
    assert (last.error, last.message) == ("ZeroDivisionError", "as wanted")


def test_the_first_event_says_what_the_run_is_made_of(small_config: Configure) -> None:
    trainer = Trainer.start(small_config(envs=1, steps=1, seed=5), None)
    (first,) = trainer.run.history.events
    assert isinstance(first, RunStarted)
    assert (first.seed, first.slots, dict(first.versions)["torch"]) == (5, ("s0", "s1"), torch.__version__)
    assert first.commit == commit()
    assert first.chance_loss == pytest.approx(1.0986, abs=1e-4)


def test_a_package_that_is_only_on_the_path_has_no_version() -> None:
    assert version_of("no-such-package-at-all") == "not installed"


def test_the_end_tells_the_test_accuracy_of_every_host(small_config: Configure) -> None:
    trainer = Trainer.start(small_config(envs=2, steps=3), None)
    assert trainer.train()
    last = trainer.run.history.events[-1]
    assert isinstance(last, RunFinished)
    assert last.test_accuracies == tuple(env.training.validate("test")[1] for env in trainer.run.envs.envs)
