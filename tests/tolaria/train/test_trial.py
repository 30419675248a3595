from collections.abc import Callable
from typing import Any

import pytest
import torch

from tolaria.errors import CheckpointDamaged
from tolaria.governor.arena import Arena, layout_of
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.manifest import Facts, Tensors
from tolaria.train.rollout import take_step
from tolaria.train.run import Run
from tolaria.train.trial import check

Configure = Callable[..., TrainConfig]
CPU = torch.device("cpu")
WEIGHT = "env/0/host/head.weight"
SNAPSHOT = "governor/0/0/host/head.weight"


@pytest.fixture
def saved(small_config: Configure) -> tuple[TrainConfig, Tensors, Facts]:
    """A run of three steps, taken apart."""
    config = small_config("ppo", envs=1)
    run = Run(config, CPU, History(), NO_TAPS)
    run.begin()
    for _ in range(3):
        take_step(run)
    tensors, facts = run.capsule()
    return config, {name: tensor.detach().clone() for name, tensor in tensors.items()}, facts


def sealed_again(tensors: Tensors, facts: Facts) -> None:
    """Give the first snapshot the digest of what it holds now."""
    head = facts["governors"][0]["snapshots"]["published"][0]
    prefix = f"governor/0/{head['number']}/"
    mine = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    arena = Arena.allocate(layout_of(mine), CPU)
    for name, tensor in mine.items():
        arena.views[name].copy_(tensor)
    head["digest"] = arena.digest(head["facts"])


def test_what_a_run_wrote_is_accepted(saved: tuple[TrainConfig, Tensors, Facts]) -> None:
    check(saved[0], CPU, *saved[1:])


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (WEIGHT, lambda tensor: tensor.double(), "head.weight is float64 [3, 24], expected float32 [3, 24]"),
        (WEIGHT, lambda tensor: tensor[:1], "head.weight is float32 [1, 24], expected float32 [3, 24]"),
        (WEIGHT, lambda tensor: tensor.T, "RuntimeError"),
        (WEIGHT, None, "KeyError"),
        ("env/0/host/../../x", lambda _: torch.zeros(1), "env/0/host/../../x is surplus"),
        ("stranger", lambda _: torch.zeros(1), "stranger is surplus"),
        (SNAPSHOT, lambda tensor: tensor.fill_(float("nan")), "snapshot 0 holds NaN or Inf in host/head.weight"),
        (SNAPSHOT, lambda tensor: tensor.fill_(-float("inf")), "snapshot 0 holds NaN or Inf in host/head.weight"),
        (SNAPSHOT, lambda tensor: tensor.double(), "changed ['host/head.weight']"),
        (SNAPSHOT, lambda tensor: tensor.T, "changed ['host/head.weight']"),
        (SNAPSHOT, None, "missing ['host/head.weight']"),
    ],
)
def test_a_tensor_that_the_run_would_not_have_written_is_named(
    name: str, change: Callable[[torch.Tensor], torch.Tensor] | None, said: str, saved: tuple[TrainConfig, Tensors, Facts]
) -> None:
    config, tensors, facts = saved
    if change is None:
        del tensors[name]
    else:
        tensors[name] = change(tensors.get(name, torch.zeros(1)))
    sealed_again(tensors, facts)
    with pytest.raises(CheckpointDamaged) as refused:
        check(config, CPU, tensors, facts)
    assert said in str(refused.value)


def test_a_snapshot_whose_bytes_are_not_those_that_were_published_is_refused(saved: tuple[TrainConfig, Tensors, Facts]) -> None:
    config, tensors, facts = saved
    tensors[SNAPSHOT][0, 0] += 1.0
    with pytest.raises(CheckpointDamaged, match="not those that were published"):
        check(config, CPU, tensors, facts)


@pytest.mark.parametrize(
    "change",
    [
        {"step": "3"},
        {"step": None},
        {"envs": []},
        {"envs": None},
        {"governors": [{}]},
        {"next_seq": "0"},
        {"surplus": 1},
        {"tallies": [{"fresh": True}]},
        {"buffer": {}},
        {"policy": 7},
    ],
    ids=str,
)
def test_facts_that_the_run_would_not_have_written_are_refused(change: dict[str, Any], saved: tuple[TrainConfig, Tensors, Facts]) -> None:
    config, tensors, facts = saved
    with pytest.raises(CheckpointDamaged, match="it does not fit the run"):
        check(config, CPU, tensors, facts | change)


@pytest.mark.parametrize("missing", ["step", "next_seq", "envs", "retired", "governors", "policy", "buffer", "tallies", "learner"])
def test_a_missing_fact_is_refused(missing: str, saved: tuple[TrainConfig, Tensors, Facts]) -> None:
    config, tensors, facts = saved
    del facts[missing]
    with pytest.raises(CheckpointDamaged, match="it does not fit the run"):
        check(config, CPU, tensors, facts)


def test_the_checkpoint_of_another_config_is_refused(saved: tuple[TrainConfig, Tensors, Facts], small_config: Configure) -> None:
    with pytest.raises(CheckpointDamaged, match="it does not fit the run"):
        check(small_config("heuristic", envs=1), CPU, *saved[1:])
