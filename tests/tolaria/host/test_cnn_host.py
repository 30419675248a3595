import pytest
import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.cnn_host import CnnHost


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_seed_grows_at_every_slot_of_any_depth(depth: int) -> None:
    host = CnnHost(1, 4, depth, 10, seed=0)
    for slot_id in host.slots:
        host.germinate(slot_id, "conv_light", seed=1)
    assert list(host.slots) == [f"s{position}" for position in range(depth)]
    assert host(torch.ones(2, 1, 8, 8)).shape == (2, 10)


def test_channels_double_from_block_to_block() -> None:
    assert CnnHost(1, 4, 3, 10, seed=0).channels == {"s0": 4, "s1": 8, "s2": 16}


def test_images_are_halved_down_to_two_pixels() -> None:
    host = CnnHost(1, 4, 3, 10, seed=0)
    sizes = []
    x = torch.ones(2, 1, 8, 8)
    for block in host.blocks:
        x = block(x)
        sizes.append(x.shape[-1])
    assert sizes == [4, 2, 2]


def test_weights_come_from_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first = CnnHost(1, 4, 2, 10, seed=7).state_dict()
    torch.rand(1)
    same, other = CnnHost(1, 4, 2, 10, seed=7).state_dict(), CnnHost(1, 4, 2, 10, seed=8).state_dict()
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["blocks.0.conv.weight"], other["blocks.0.conv.weight"])
    torch.random.set_rng_state(before)
    CnnHost(1, 4, 2, 10, seed=7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_kernel_of_one_sees_no_neighbours_and_a_larger_one_does() -> None:
    host = CnnHost(1, 4, 1, 10, seed=0, kernel_size=1)
    image = torch.tensor([[[[0.1, 0.9], [0.4, 0.2]]]])
    assert torch.allclose(host.eval()(image), host(image.flip(-1)), atol=1e-6)
    other = CnnHost(1, 4, 1, 10, seed=0, kernel_size=3).eval()
    assert not torch.allclose(other(image), other(image.flip(-1)), atol=1e-6)


def test_parameters_are_counted_without_seeds() -> None:
    host = CnnHost(1, 4, 2, 10, seed=0)
    # Convolutions 4·9 and 8·4·9, normalisations 2·4 and 2·8, head 8·10 + 10.
    assert host.host_parameters() == 36 + 288 + 8 + 16 + 90
    host.germinate("s1", "conv_norm", seed=1)
    assert host.host_parameters() == 438
    assert host.seed_parameters() == 16


@pytest.mark.parametrize("wrong", ["in_channels", "width", "depth", "classes"])
def test_sizes_below_one_are_refused(wrong: str) -> None:
    in_channels, width, depth, classes = (int(name != wrong) for name in ("in_channels", "width", "depth", "classes"))
    with pytest.raises(ConfigError, match=f"host.{wrong}"):
        CnnHost(in_channels, width, depth, classes, seed=0)


@pytest.mark.parametrize("kernel_size", [0, 2])
def test_kernels_without_a_middle_are_refused(kernel_size: int) -> None:
    with pytest.raises(ConfigError, match="kernel_size"):
        CnnHost(1, 4, 2, 10, seed=0, kernel_size=kernel_size)


def test_a_shadow_pass_survives_channels_last_memory() -> None:
    host = CnnHost(1, 4, 2, 10, seed=0)
    nn.Module.to(host, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's overloads miss it
    host.germinate("s0", "conv_light", seed=1)
    host.slot("s0").state = host.slot("s0").state.advanced()
    host(torch.linspace(0, 1, 256).reshape(4, 1, 8, 8).to(memory_format=torch.channels_last)).sum().backward()
    seed = host.slot("s0").seed
    assert seed is not None
    gradients = torch.autograd.grad(host.shadow("s0", host.features_at("s0")).square().sum(), list(seed.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
