import json
from typing import Any

import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.host.cnn_host import CnnHost
from tolaria.host.host import Host
from tolaria.host.mlp_host import MlpHost
from tolaria.host.state import commit, manifest, prepare
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import OCCUPIED, Stage

STAGES = list(Stage)
X = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))


def host_in(stage: Stage, weights: int = 1, blueprint: str = "residual_mlp") -> Host:
    """A host whose first slot went to the stage by moves of the table, and whose seed is no longer as it was born."""
    host = MlpHost(2, 8, 2, 3, seed=weights)
    slot = host.slot("s0")
    if stage is Stage.DORMANT:
        return host
    host.germinate("s0", blueprint, seed=weights, blend=Blend.MULTIPLY, steps=2)
    with torch.no_grad():
        for tensor in host.seed_tensors("s0").values():
            tensor.add_(0.1 * weights)
    for after in (Stage.TRAINING, Stage.BLENDING, Stage.HOLDING):
        if slot.state.stage is stage:
            return host
        if stage in OCCUPIED:
            slot.state = slot.state.advanced().ticked()
            assert slot.state.stage is after
    if stage is Stage.FOSSILIZED:
        slot.state = slot.state.fossilized()
        slot.freeze()
    elif stage not in OCCUPIED:
        slot.detach_seed(slot.state.pruned())
        while slot.state.stage is not stage:
            slot.state = slot.state.ticked()
    return host


def copied(host: Host) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in host.tensors().items()}


def bytes_of(host: Host) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in host.tensors().items()}


def restore(host: Host, topology: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    plan = prepare(host, topology)
    assert plan.expected == {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    commit(plan)
    live = host.tensors()
    with torch.no_grad():
        for name, tensor in tensors.items():
            live[name].copy_(tensor)


def topology_of(host: Host) -> dict[str, Any]:
    topology: dict[str, Any] = json.loads(json.dumps(manifest(host)))
    return topology


@pytest.mark.parametrize("live", STAGES)
@pytest.mark.parametrize("captured", STAGES)
def test_a_host_comes_back_whatever_became_of_it(captured: Stage, live: Stage) -> None:
    origin, host = host_in(captured), host_in(live, weights=2)
    assert (origin.slot("s0").state.stage, host.slot("s0").state.stage) == (captured, live)
    restore(host, topology_of(origin), copied(origin))
    slot = host.slot("s0")
    assert host.slot_states() == origin.slot_states()
    assert (slot.seed is not None) == (captured in OCCUPIED)
    assert bytes_of(host) == bytes_of(origin)
    assert host(X).detach().numpy().tobytes() == origin(X).detach().numpy().tobytes()
    if slot.seed is not None:
        frozen = captured is Stage.FOSSILIZED
        assert {parameter.requires_grad for parameter in slot.seed.parameters()} == {not frozen}
        assert slot.seed.training is not frozen
    if captured is Stage.DORMANT:
        host.germinate("s0", "mlp_norm", seed=9)


@pytest.mark.parametrize("stage", STAGES)
def test_preparing_changes_nothing(stage: Stage) -> None:
    host = host_in(stage)
    before = host.slot_states(), host.slot("s0").seed, bytes_of(host), torch.random.get_rng_state().tolist()
    prepare(host, topology_of(host_in(Stage.HOLDING, blueprint="mlp_norm")))
    assert before == (host.slot_states(), host.slot("s0").seed, bytes_of(host), torch.random.get_rng_state().tolist())


def test_the_same_seed_stays_the_same_module() -> None:
    host = host_in(Stage.HOLDING)
    seed = host.slot("s0").seed
    commit(prepare(host, topology_of(host_in(Stage.TRAINING))))
    assert host.slot("s0").seed is seed


@pytest.mark.parametrize("difference", ["blueprint", "generation", "blend"])
def test_another_seed_is_another_module(difference: str) -> None:
    host = host_in(Stage.HOLDING)
    seed = host.slot("s0").seed
    topology = topology_of(host)
    topology["slots"]["s0"]["state"][difference] = {"blueprint": "mlp_norm", "generation": 2, "blend": "gate"}[difference]
    commit(prepare(host, topology))
    assert host.slot("s0").seed is not None
    assert host.slot("s0").seed is not seed


def test_a_manifest_does_not_follow_the_host() -> None:
    host = host_in(Stage.BLENDING)
    before = manifest(host)
    kept = json.dumps(before)
    host.slot("s0").state = host.slot("s0").state.ticked()
    assert json.dumps(before) == kept


def test_new_seeds_take_dtype_and_memory_of_the_host() -> None:
    host = host_in(Stage.DORMANT).double()
    plan = prepare(host, topology_of(host_in(Stage.HOLDING)))
    assert {dtype for _, dtype in plan.expected.values()} == {torch.float64}


PATHS = [
    ("version",),
    ("family",),
    ("slots",),
    ("slots", "s1"),
    ("slots", "s0", "channels"),
    ("slots", "s0", "state"),
    ("slots", "s0", "state", "ramp"),
    ("slots", "s0", "state", "ramp", "target"),
    ("slots", "s0", "state", "generation"),
]


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_a_missing_key_raises_and_changes_nothing(path: tuple[str, ...]) -> None:
    host = host_in(Stage.HOLDING)
    states = host.slot_states()
    topology = topology_of(host_in(Stage.TRAINING))
    place = topology
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    with pytest.raises(ConfigError, match=path[-1]):
        prepare(host, topology)
    assert host.slot_states() == states


@pytest.mark.parametrize("path", [(), ("slots",), ("slots", "s0"), ("slots", "s0", "state"), ("slots", "s0", "state", "ramp")])
def test_an_unknown_key_raises(path: tuple[str, ...]) -> None:
    topology = topology_of(host_in(Stage.HOLDING))
    place = topology
    for key in path:
        place = place[key]
    place["surplus"] = 1
    with pytest.raises(ConfigError, match="surplus"):
        prepare(host_in(Stage.DORMANT), topology)


WRONG: list[tuple[tuple[str, ...], object]] = [
    (("version",), 2),
    (("family",), "conv"),
    (("slots", "s0", "channels"), 9),
    (("slots", "s0", "state", "slot"), "s1"),
    (("slots", "s0", "state", "blueprint"), "conv_light"),
    (("slots", "s0", "state", "stage"), "retired"),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_a_manifest_that_does_not_fit_raises(path: tuple[str, ...], value: object) -> None:
    topology = topology_of(host_in(Stage.HOLDING))
    place = topology
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError):
        prepare(host_in(Stage.DORMANT), topology)


def test_a_manifest_of_another_kind_of_host_raises() -> None:
    with pytest.raises(ConfigError, match=r"manifest\.family"):
        prepare(CnnHost(1, 4, 2, 3, seed=0), manifest(host_in(Stage.DORMANT)))


def test_batch_statistics_are_expected_too() -> None:
    host = CnnHost(1, 4, 2, 3, seed=0)
    assert prepare(host, manifest(host)).expected["blocks.0.norm.running_var"] == ((4,), torch.float32)
