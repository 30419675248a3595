import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tolaria.env.config import RewardConfig, TrainingConfig
from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend
from tolaria.ppo.config import PpoConfig
from tolaria.train.config import Move, TrainConfig, difference, dump, load, save

SCRIPT = (Move(3, None, Action(op=Op.GERMINATE, slot="s0", blueprint="mlp_norm", blend=Blend.MULTIPLY, alpha_curve=Curve.COSINE)),)
RICH = TrainConfig(task="spirals", policy="scripted", script=SCRIPT, episode_steps=7, training=TrainingConfig(learning_rate=1.0))


@pytest.mark.parametrize("config", [TrainConfig(), RICH])
def test_what_is_saved_is_loaded(config: TrainConfig, tmp_path: Path) -> None:
    save(config, tmp_path / "config.json")
    assert load(tmp_path / "config.json") == config
    assert json.loads(dump(config)) == json.loads((tmp_path / "config.json").read_text())


def test_the_episode_is_the_whole_run_unless_it_is_said() -> None:
    assert TrainConfig(steps=60).episode_length == 60
    assert TrainConfig(steps=60, episode_steps=20).episode_length == 20


def changed(tmp_path: Path, change: Callable[[dict[str, object]], object]) -> Path:
    values = json.loads(dump(RICH))
    change(values)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda values: values.update(stepps=3), "'stepps'"),
        (lambda values: values["governor"].update(strike=3), "'governor.strike'"),
        (lambda values: values["training"].update(lr=3), "'training.lr'"),
        (lambda values: values["script"][0].update(when=3), "'script.0.when'"),
        (lambda values: values["script"][0]["action"].update(where=3), "'script.0.action.where'"),
    ],
)
def test_a_key_that_nobody_knows_is_refused_with_its_place(
    change: Callable[[dict[str, object]], object], named: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="unknown key") as refused:
        load(changed(tmp_path, change))
    assert named in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda values: values.update(envs="4"), "envs"),
        (lambda values: values.update(envs=4.0), "envs"),
        (lambda values: values.update(seed=True), "seed"),
        (lambda values: values.update(task=None), "task"),
        (lambda values: values.update(episode_steps="all"), "episode_steps"),
        (lambda values: values["governor"].update(enabled=1), "governor.enabled"),
        (lambda values: values["ppo"].update(lr="0.1"), "ppo.lr"),
        (lambda values: values["script"][0]["action"].update(op="explode"), "script.0.action.op"),
        (lambda values: values.update(gates=[1]), "gates"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(
    change: Callable[[dict[str, object]], object], place: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(changed(tmp_path, change))
    assert refused.value.path == f"{tmp_path / 'config.json'}: {place}"


def test_a_value_that_cannot_be_is_refused_by_the_file_as_well(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steps: found 0"):
        load(changed(tmp_path, lambda values: values.update(steps=0)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "line 1"),
        (b"", "line 1"),
        (b"[]", "dictionary|object"),
        (b"3", "dictionary|object"),
        (b"{\xff}", "byte 1"),
        (b"[" * 100_000, "maximum recursion depth"),
        (b'{"seed": %s}' % (b"9" * 5000), "Exceeds the limit"),
    ],
)
def test_what_is_no_configuration_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "config.json")
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "run" / "config.json")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(ConfigError, match=r"found 'a folder', expected the config\.json of a run"):
        load(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"checkpoint_every": 3}, ""),
        ({"seed": 77}, "seed: found 77, expected 0"),
        ({"steps": 61}, "steps: found 61, expected 60"),
        ({"training": TrainingConfig(momentum=0.5)}, "training.momentum: found 0.5, expected 0.9"),
        ({"governor": GovernorConfig(detectors=("non_finite",))}, "governor.detectors: found ['non_finite'], expected 'default'"),
    ],
)
def test_the_first_setting_that_makes_another_run_is_named(change: dict[str, object], said: str) -> None:
    assert difference(TrainConfig(**change), TrainConfig()) == said  # type: ignore[arg-type]  # each case names its own fields


def test_a_folder_of_data_may_have_been_moved() -> None:
    assert difference(TrainConfig(task="cifar10", data="here"), TrainConfig(task="cifar10", data="there")) == ""


def test_a_difference_is_told_in_a_line_however_long_the_script_is() -> None:
    assert len(difference(replace(RICH, script=SCRIPT * 1000), RICH)) < 1000


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"task": "spiralz"}, "task"),
        ({"policy": "oracle"}, "policy"),
        ({"envs": 0}, "envs"),
        ({"steps": 0}, "steps"),
        ({"rollout_steps": 0}, "rollout_steps"),
        ({"threads": 0}, "threads"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"episode_steps": 0}, "episode_steps"),
        ({"seed": -1}, "seed"),
        ({"script": SCRIPT, "policy": "heuristic"}, "script"),
        ({"envs": 2, "ppo": PpoConfig(minibatches=3)}, "ppo.minibatches"),
    ],
)
def test_the_impossible_is_refused_where_it_is_said(settings: dict[str, object], path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        TrainConfig(**settings)  # type: ignore[arg-type]  # each case names its own fields
    assert refused.value.path == path
    assert refused.value.expected


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"batches_per_step": 0}, "training.batches_per_step"),
        ({"optimizer": "lion"}, "training.optimizer"),
        ({"learning_rate": 0.0}, "training.learning_rate"),
        ({"learning_rate": math.inf}, "training.learning_rate"),
        ({"momentum": 1.0}, "training.momentum"),
        ({"momentum": math.nan}, "training.momentum"),
        ({"grad_norm_max": 0.0}, "training.grad_norm_max"),
        ({"weight_decay": -0.1}, "training.weight_decay"),
        ({"weight_decay": math.nan}, "training.weight_decay"),
        ({"seed_lr_factor": math.nan}, "training.seed_lr_factor"),
        ({"warmup_batches": -1}, "training.warmup_batches"),
    ],
)
def test_impossible_training_is_refused(settings: dict[str, object], path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        TrainingConfig(**settings)  # type: ignore[arg-type]  # each case names its own fields
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"mode": "dense"}, "reward.mode"),
        ({"rent": -1.0}, "reward.rent"),
        ({"rent": math.nan}, "reward.rent"),
        ({"action_cost": math.nan}, "reward.action_cost"),
        ({"action_cost": math.inf}, "reward.action_cost"),
    ],
)
def test_impossible_rewards_are_refused(settings: dict[str, object], path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        RewardConfig(**settings)  # type: ignore[arg-type]  # each case names its own fields
    assert refused.value.path == path


@pytest.mark.parametrize(("task", "data"), [("cifar10", None), ("digits", "somewhere")])
def test_a_folder_is_given_to_tasks_that_are_read_from_one_and_to_no_other(task: str, data: str | None) -> None:
    with pytest.raises(ConfigError, match="data"):
        TrainConfig(task=task, data=data)
    assert TrainConfig(task="cifar10", data="somewhere").data == "somewhere"


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"backend": "tree"}, "backend"),
        ({"backend": "stacked", "threads": 2}, "threads"),
        ({"task": "digits", "width": 64}, "width"),
        ({"task": "wide", "width": 0}, "width"),
    ],
)
def test_how_hosts_are_trained_and_how_wide_they_are_is_checked(settings: dict[str, object], place: str) -> None:
    with pytest.raises(ConfigError, match=f"^{place}: found"):
        TrainConfig(**settings)  # type: ignore[arg-type]  # that it is wrong is the point
