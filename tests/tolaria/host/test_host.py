from dataclasses import replace

import pytest
import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.block_host import BlockHost
from tolaria.host.cnn_host import CnnHost
from tolaria.host.host import Host
from tolaria.host.mlp_host import MlpHost
from tolaria.lifecycle.alpha import Ramp
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import Stage

INPUTS = {"conv": (8, 1, 8, 8), "mlp": (8, 2)}
FULL = Ramp(1.0, 1.0)


def host_for(family: str) -> Host:
    return CnnHost(1, 4, 2, 3, seed=1) if family == "conv" else MlpHost(2, 8, 2, 3, seed=1)


def batch(family: str, number: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(INPUTS[family], generator=generator), torch.randint(0, 3, (8,), generator=generator)


def put(host: Host, slot_id: str, stage: Stage, blueprint: str | None = None, ramp: Ramp = FULL) -> nn.Module:
    """Grow a seed in the slot and put it into the stage, learnt a little, so that its residual is not zero."""
    host.germinate(slot_id, blueprint or {"conv": "conv_light", "mlp": "residual_mlp"}[host.family], seed=2)
    slot = host.slot(slot_id)
    seed = slot.seed
    assert seed is not None
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in seed.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    slot.attach(seed, replace(slot.state, stage=stage, ramp=ramp))
    return seed


def spoil(seed: nn.Module) -> None:
    with torch.no_grad():
        for parameter in seed.parameters():
            parameter.fill_(float("nan"))


def bytes_of(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def gradients_of(host: Host) -> dict[str, bytes | None]:
    return {name: None if p.grad is None else p.grad.numpy().tobytes() for name, p in host.named_parameters()}


def train_step(host: Host, optimizer: torch.optim.Optimizer, number: int) -> torch.Tensor:
    x, y = batch(host.family, number)
    optimizer.zero_grad()
    nn.functional.cross_entropy(host(x), y).backward()
    optimizer.step()
    return y


def shadow_step(host: Host, slot_id: str, optimizer: torch.optim.Optimizer, y: torch.Tensor) -> float:
    seed = host.slot(slot_id).seed
    assert seed is not None
    loss = nn.functional.cross_entropy(host.shadow(slot_id, host.features_at(slot_id)), y)
    parameters = list(seed.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return float(loss.detach())


def test_a_shadow_step_lowers_the_loss_that_the_seed_would_give() -> None:
    host = host_for("conv")
    host.germinate("s0", "conv_light", seed=2)
    host.slot("s0").state = host.slot("s0").state.advanced()
    seed = host.slot("s0").seed
    assert seed is not None
    x, y = batch("conv")
    host(x)
    optimizer = torch.optim.SGD(seed.parameters(), lr=0.1)
    losses = [shadow_step(host, "s0", optimizer, y) for _ in range(20)]
    assert losses[-1] < losses[0] - 0.01


@pytest.mark.parametrize("tail", [Stage.TRAINING, Stage.BLENDING, Stage.HOLDING, Stage.FOSSILIZED])
@pytest.mark.parametrize("family", INPUTS)
def test_a_shadow_pass_touches_nothing_but_the_seeds_gradients(family: str, tail: Stage) -> None:
    host = host_for(family)
    seed = put(host, "s0", Stage.TRAINING)
    put(host, "s1", tail, ramp=Ramp(0.5, 0.5))
    host.train()
    x, y = batch(family)
    nn.functional.cross_entropy(host(x), y).backward()
    features = host.features_at("s0")
    kept = [host.slot(slot_id).features for slot_id in host.slots]
    before = bytes_of(host.tensors()), gradients_of(host), [module.training for module in host.modules()]
    loss = nn.functional.cross_entropy(host.shadow("s0", features), y)
    gradients = torch.autograd.grad(loss, list(seed.parameters()))
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    assert before == (bytes_of(host.tensors()), gradients_of(host), [module.training for module in host.modules()])
    assert all(old is new for old, new in zip(kept, [host.slot(slot_id).features for slot_id in host.slots], strict=True))


def test_the_shadow_pass_is_the_host_in_eval_mode_with_the_seed_at_alpha_one() -> None:
    host = host_for("conv")
    put(host, "s0", Stage.TRAINING)
    put(host, "s1", Stage.BLENDING, ramp=Ramp(0.5, 0.5))
    x, _ = batch("conv")
    features = host.blocks[0](x).detach()
    shadow = host.shadow("s0", features)
    slot = host.slot("s0")
    slot.state = replace(slot.state, stage=Stage.HOLDING)
    host.eval()
    assert torch.equal(shadow, host.head(host.slots["s1"](host.blocks[1](slot(features)))))


def test_modes_are_put_back_when_the_shadow_pass_fails() -> None:
    host = host_for("mlp")
    put(host, "s0", Stage.TRAINING)
    host.train()
    with pytest.raises(RuntimeError):
        host.shadow("s0", torch.ones(2, 5))
    assert all(module.training for module in host.modules())


@pytest.mark.parametrize("stage", [Stage.GERMINATED, Stage.TRAINING])
@pytest.mark.parametrize("family", INPUTS)
def test_nan_in_an_isolated_seed_reaches_neither_output_nor_gradients(family: str, stage: Stage) -> None:
    twin, host = host_for(family), host_for(family)
    spoil(put(host, "s0", stage, ramp=Ramp()))
    x, y = batch(family)
    outputs = []
    for own in (twin, host):
        logits = own(x)
        nn.functional.cross_entropy(logits, y).backward()
        outputs.append(logits.detach().numpy().tobytes())
    assert outputs[0] == outputs[1]
    grown = gradients_of(host)
    assert {name: grown[name] for name in twin.own_parameters()} == gradients_of(twin)
    assert bytes_of(host.stable_tensors()) == bytes_of(twin.tensors())


def test_nan_in_a_seed_at_alpha_zero_is_contained_in_blending() -> None:
    host = host_for("mlp")
    spoil(put(host, "s0", Stage.BLENDING, ramp=Ramp(0.0, 1.0, 3)))
    assert torch.isfinite(host(batch("mlp")[0])).all()
    host.slot("s0").state = host.slot("s0").state.ticked()
    assert not torch.isfinite(host(batch("mlp")[0])).any()


def test_a_slot_can_be_left_out_of_a_pass() -> None:
    host = host_for("mlp")
    x, _ = batch("mlp")
    alone = host(x)
    spoil(put(host, "s1", Stage.HOLDING))
    assert torch.equal(host(x, without=["s1"]), alone)
    assert not torch.isfinite(host(x)).any()


@pytest.mark.parametrize("stage", [Stage.BLENDING, Stage.HOLDING, Stage.FOSSILIZED])
@pytest.mark.parametrize("blend", Blend)
@pytest.mark.parametrize("family", INPUTS)
def test_gradient_reaches_every_block_through_seeds_at_alpha_one(family: str, blend: Blend, stage: Stage) -> None:
    host = host_for(family)
    for slot_id in host.slots:
        put(host, slot_id, stage)
        host.slot(slot_id).state = replace(host.slot(slot_id).state, blend=blend)
    x, y = batch(family)
    nn.functional.cross_entropy(host(x), y).backward()
    for block in host.blocks:
        norm = sum(float(p.grad.square().sum()) for p in block.parameters() if p.grad is not None) ** 0.5
        assert norm > 1e-3


def test_a_fossil_neither_learns_nor_changes_while_its_host_trains() -> None:
    host = host_for("conv")
    put(host, "s0", Stage.FOSSILIZED)
    host.train()
    fossil = bytes_of(host.seed_tensors("s0"))
    # Even an optimizer that was wrongly given the fossil finds no gradient to follow.
    optimizer = torch.optim.SGD(host.parameters(), lr=0.1, weight_decay=0.1)
    for number in range(3):
        train_step(host, optimizer, number)
    assert bytes_of(host.seed_tensors("s0")) == fossil
    assert not any(name.startswith("slots.") for name in host.own_parameters())


def test_stable_tensors_hold_fossils_and_no_experimental_seed() -> None:
    host = MlpHost(2, 8, 3, 3, seed=1)
    bare = set(host.tensors())
    put(host, "s0", Stage.FOSSILIZED)
    put(host, "s1", Stage.HOLDING)
    put(host, "s2", Stage.TRAINING)
    fossil = {f"slots.s0.seed.{name}" for name in ("0.weight", "0.bias", "2.weight", "2.bias")}
    assert set(host.seed_tensors("s0")) == fossil
    assert set(host.stable_tensors()) == bare | fossil
    assert set(host.tensors()) == bare | fossil | set(host.seed_tensors("s1")) | set(host.seed_tensors("s2"))
    assert host.experimental_slots() == ("s1", "s2")


def test_tensors_are_the_live_ones_with_buffers_and_tied_ones_once() -> None:
    block = nn.Linear(4, 4)
    block.register_buffer("positions", torch.arange(4), persistent=False)
    twice = nn.Linear(4, 4)
    twice.weight = block.weight
    host = BlockHost([block, twice], [4, 4], nn.Linear(4, 2), "mlp", ["s0"])
    assert list(host.stable_tensors()) == [
        "blocks.0.weight",
        "blocks.0.bias",
        "blocks.1.bias",
        "head.weight",
        "head.bias",
        "blocks.0.positions",
    ]
    assert host.stable_tensors()["blocks.0.weight"] is block.weight


def test_batch_statistics_are_among_the_tensors() -> None:
    names = set(host_for("conv").stable_tensors())
    assert {"blocks.0.norm.running_mean", "blocks.0.norm.running_var", "blocks.0.norm.num_batches_tracked"} <= names


def test_an_empty_slot_has_no_seed_tensors() -> None:
    assert host_for("mlp").seed_tensors("s0") == {}


def test_an_unknown_slot_is_named_in_the_error() -> None:
    with pytest.raises(ConfigError, match="s9"):
        host_for("mlp").slot("s9")


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"host\.family"):
        BlockHost([nn.Linear(2, 2)], [2], nn.Linear(2, 2), "birds", ["s0"])
