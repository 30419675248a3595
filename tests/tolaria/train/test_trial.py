from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tolaria.errors import CheckpointDamaged
from tolaria.governor.arena import Arena, layout_of
from tolaria.governor.config import GovernorConfig
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig, described
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


def test_a_checkpoint_of_a_run_with_another_setting_is_refused_with_its_name(saved: tuple[TrainConfig, Tensors, Facts]) -> None:
    config, tensors, facts = saved
    owner = described(replace(config, governor=GovernorConfig(snapshot_every=7)))
    with pytest.raises(CheckpointDamaged) as refused:
        check(config, CPU, tensors, facts | {"config": owner})
    assert str(refused.value) == "it belongs to another run than config.json: governor.snapshot_every: found 7, expected 5"


@pytest.mark.parametrize("owner", [None, [], {"surplus": 1}, {"seed": "0"}])
def test_an_owner_that_is_no_configuration_is_refused(owner: object, saved: tuple[TrainConfig, Tensors, Facts]) -> None:
    config, tensors, facts = saved
    with pytest.raises(CheckpointDamaged, match=r"it belongs to another run than config\.json: config"):
        check(config, CPU, tensors, facts | {"config": owner})


def test_an_owner_that_did_not_know_a_setting_had_its_default(saved: tuple[TrainConfig, Tensors, Facts]) -> None:
    config, tensors, facts = saved
    owner = described(config)
    del owner["width"]
    check(config, CPU, tensors, facts | {"config": owner})


def momentum(tensors: Tensors) -> str:
    return next(name for name in tensors if name.startswith("env/0/optimizer/") and "head.weight" in name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (lambda _: WEIGHT, "environment 0 holds NaN or Inf in parameters"),
        (momentum, "environment 0 holds NaN or Inf in optimizer"),
        (lambda tensors: next(name for name in tensors if name.startswith("policy/net.")), "the controller holds NaN or Inf"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_live_value_that_no_run_comes_to_a_checkpoint_with_is_refused(
    name: Callable[[Tensors], str], said: str, value: float, saved: tuple[TrainConfig, Tensors, Facts]
) -> None:
    config, tensors, facts = saved
    tensors[name(tensors)].view(-1)[0] = value
    with pytest.raises(CheckpointDamaged) as refused:
        check(config, CPU, tensors, facts)
    assert str(refused.value) == f"it does not fit the run: NotFinite: {said}"


@pytest.mark.parametrize("ungoverned", [True, False])
def test_a_host_that_nobody_restores_may_be_lost_at_a_checkpoint(ungoverned: bool, small_config: Configure) -> None:
    config = small_config("heuristic", envs=2, governor=GovernorConfig(enabled=not ungoverned))
    run = Run(config, CPU, History(), NO_TAPS)
    run.begin()
    take_step(run)
    if not ungoverned:
        run.envs.retired.add(1)
    with torch.no_grad():
        run.envs.envs[1].training.host.head.weight.fill_(float("nan"))
    check(config, CPU, *run.capsule())
