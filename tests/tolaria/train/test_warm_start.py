from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.ppo.config import PpoConfig
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import WarmStarted
from tolaria.train.config import TrainConfig
from tolaria.train.run import Run
from tolaria.train.trainer import Trainer
from tolaria.train.warm_start import warm_start

Configure = Callable[..., TrainConfig]


def run_of(config: TrainConfig) -> Run:
    return Run(config, torch.device("cpu"), History(), NO_TAPS)


@pytest.fixture
def warm(small_config: Configure) -> TrainConfig:
    """A learning run that watches two episodes of twelve steps first."""
    config = small_config("ppo", envs=2, episode_steps=12, steps=12)
    return replace(config, ppo=replace(config.ppo, warm_start=2, warm_start_epochs=30))


def test_a_controller_that_has_watched_decides_more_like_the_heuristic(warm: TrainConfig) -> None:
    run = run_of(warm)
    before = run.policy.tensors()
    warm_start(run)
    (told,) = [event for event in run.history.events if isinstance(event, WarmStarted)]
    assert (told.episodes, told.rows) == (2, 24)
    assert told.surprise < 0.5 * told.surprise_before
    assert told.likely > 0.5
    assert any(not torch.equal(tensor, before[name]) for name, tensor in run.policy.tensors().items() if name.startswith("net."))
    # Neither what it carries nor what it will draw has moved, and its buffer is empty; but the scale of rewards is known.
    for name in ("state.hidden", "state.cell", "generator.0", "generator.1"):
        assert torch.equal(run.policy.tensors()[name], before[name])
    assert (run.step, run.begun, run.buffer.num_rows) == (0, False, 0)
    assert run.buffer.normalizer.std > 0.0


def test_the_hosts_it_watches_are_not_those_of_the_run(warm: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = run_of(warm), run_of(warm)
    seeds: list[int] = []

    class Watched(Run):
        def __init__(self, config: TrainConfig, *rest: Any) -> None:
            seeds.append(config.seed)
            super().__init__(config, *rest)

    monkeypatch.setattr("tolaria.train.warm_start.Run", Watched)
    warm_start(one)
    assert len(seeds) == 1
    assert seeds[0] != warm.seed
    ours, theirs = (run.envs.envs[0].training.all_tensors() for run in (one, two))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("policy", ["heuristic", "ppo"])
def test_nothing_is_watched_where_nothing_is_asked_for_or_nobody_learns(policy: str, small_config: Configure) -> None:
    config = small_config(policy)
    run = run_of(config if policy == "ppo" else replace(config, ppo=PpoConfig(warm_start=3)))
    warm_start(run)
    assert run.history.events == []


def test_a_run_that_was_halted_and_resumed_watches_once_and_ends_in_the_same_bytes(warm: TrainConfig, tmp_path: Path) -> None:
    whole = Trainer.start(warm, tmp_path / "whole")
    assert whole.train()
    whole.close()
    halted = Trainer.start(warm, tmp_path / "halted")
    polls = iter([False] * 5 + [True])
    assert not halted.train(lambda: next(polls))
    halted.close()
    resumed, _ = Trainer.resume(tmp_path / "halted")
    assert resumed.train()
    resumed.close()
    assert (tmp_path / "halted" / "events.jsonl").read_bytes() == (tmp_path / "whole" / "events.jsonl").read_bytes()


def test_a_negative_number_of_episodes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"ppo\.warm_start: found -1"):
        PpoConfig(warm_start=-1)
    with pytest.raises(ConfigError, match=r"ppo\.warm_start_epochs: found 0"):
        PpoConfig(warm_start_epochs=0)
