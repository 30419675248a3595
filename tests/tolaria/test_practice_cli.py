import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest

from tolaria.errors import ConfigError
from tolaria.interruption import INTERRUPTED
from tolaria.practice import training
from tolaria.practice_cli import Ppo

SMALL = {"env": "tolaria/TMaze-v0", "steps": 200, "memory": "none", "envs": 2, "rollout_steps": 20, "batch_size": 20, "epochs": 1}


def test_an_agent_is_trained_tried_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, picture = tmp_path / "run.json", tmp_path / "run.png"
    assert Ppo(**SMALL, evaluate=3, json=record, picture=picture).run() == 0
    told = capsys.readouterr()
    assert "practice: 200 steps" in told.out
    assert "in 3 new episodes" in told.out
    assert told.err.splitlines()[-1].startswith("200 of 200 steps, ")
    value = json.loads(record.read_text())
    assert (value["steps"], value["complete"], len(value["evaluation"]["returns"])) == (200, True, 3)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_is_said_replaces_what_is_recommended_and_nothing_else() -> None:
    config = Ppo(env="CartPole-v1", lr=0.5, batch_size=100, decay=False, normalize=True, penalty=-3.0).config()
    assert (config.ppo.lr, config.ppo.minibatches, config.ppo.lr_decay_updates, config.ppo.clip_decay_updates) == (0.5, 3, None, None)
    assert (config.normalize_observations, config.ppo.normalize_rewards, config.penalty) == (True, True, -3.0)
    assert (config.envs, config.ppo.gamma, config.ppo.epochs) == (8, 0.98, 20)
    assert Ppo(env="Acrobot-v1", steps=4096 * 3, decay=True).config().ppo.clip_at(2) == pytest.approx(0.2 / 3)


def test_all_that_can_be_said_is_heard() -> None:
    said = Ppo(env="Acrobot-v1", envs=3, rollout_steps=16, segment_steps=4, batch_size=12, epochs=7, clip=0.3, gamma=0.5, gae_lambda=0.6,
               entropy_coef=0.125, normalize=False, memory="lstm").config()  # fmt: skip
    assert (said.envs, said.rollout_steps, said.segment_steps, said.network.remembers) == (3, 16, 4, True)
    assert (said.ppo.minibatches, said.ppo.epochs, said.ppo.clip) == (4, 7, 0.3)
    assert (said.ppo.gamma, said.ppo.gae_lambda, said.ppo.entropy_coef) == (0.5, 0.6, 0.125)
    assert (said.normalize_observations, said.ppo.normalize_rewards) == (False, False)


def test_ctrl_c_keeps_what_was_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    learn = training.Practice.learn

    def interrupted(practice: training.Practice) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return learn(practice)

    monkeypatch.setattr(training.Practice, "learn", interrupted)
    record = tmp_path / "run.json"
    assert Ppo(**SMALL, evaluate=1, json=record).run() == INTERRUPTED
    value = json.loads(record.read_text())
    assert (value["steps"], value["complete"]) == (40, False)
    assert value["evaluation"]["returns"]
    assert "stopping after this update" in capsys.readouterr().err


class Endless(gymnasium.Env[Any, Any]):
    """Its episodes end while it is practised in, and never afterwards, when it sends as many SIGINT as `interrupting` says."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    interrupting: ClassVar[list[int]] = []
    practised = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if Endless.practised and self.interrupting:
            self.interrupting.pop()
            os.kill(os.getpid(), signal.SIGINT)
        return np.zeros(1, np.float32), 1.0, not Endless.practised, False, {}


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "test/Endless-v0"
    learn = training.Practice.learn

    def learnt(practice: training.Practice) -> object:
        report = learn(practice)
        monkeypatch.setattr(Endless, "practised", practice.practised.steps >= 200)
        return report

    monkeypatch.setattr(training.Practice, "learn", learnt)
    gymnasium.register(name, Endless)
    yield name
    del gymnasium.registry[name]


def test_ctrl_c_ends_an_evaluation_without_end(
    endless: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Endless, "interrupting", [1])
    record = tmp_path / "run.json"
    assert Ppo(**(SMALL | {"env": endless}), evaluate=1, json=record).run() == INTERRUPTED
    value = json.loads(record.read_text())
    assert (value["steps"], value["complete"], value["evaluation"]) == (200, True, None)
    told = capsys.readouterr()
    assert "ending the evaluation" in told.err
    assert "practice: 200 steps" in told.out
    assert "evaluation:" not in told.out


def test_a_second_ctrl_c_during_an_evaluation_loses_nothing_that_was_learnt(
    endless: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endless, "interrupting", [1, 1])
    record = tmp_path / "run.json"
    with pytest.raises(KeyboardInterrupt):
        Ppo(**(SMALL | {"env": endless}), evaluate=2, json=record).run()
    assert len(json.loads(record.read_text())["episodes"]) == 200


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 0}, "1 step or more"),
        ({"picture": Path("run.jpg")}, "ends in .png"),
        ({"json": Path("nowhere/run.json")}, "a folder that exists"),
        ({"env": "Nothing-v0"}, "gymnasium knows"),
        ({"env": "Pendulum-v1"}, "discrete actions"),
        ({"batch_size": 41}, "40 rows"),
        ({"lr": 0.0}, r"ppo\.lr"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_learnt(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Ppo(**(SMALL | wrong)).run()


def test_growth_is_an_environment_like_any_other(tmp_path: Path) -> None:
    record = tmp_path / "run.json"
    few = {"env": "tolaria/Growth-v0", "steps": 50, "envs": 2, "rollout_steps": 25, "batch_size": 25, "epochs": 1}
    assert Ppo(**few, evaluate=0, json=record).run() == 0
    value = json.loads(record.read_text())
    assert [episode[2] for episode in value["episodes"]] == [20, 20]
    assert value["config"]["network"]["memory"] == "lstm"
    assert value["evaluation"] is None
