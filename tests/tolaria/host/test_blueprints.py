"""Every entry of the table against what `Blueprint` promises."""

import pytest
import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.host.germination import parameters_of
from tolaria.host.randomness import seeded

SHAPES = {"conv": (2, 16, 5, 5), "mlp": (4, 16), "transformer": (2, 6, 16)}
NAMES = sorted(BLUEPRINTS)


def built(name: str, channels: int = 16) -> nn.Module:
    with seeded(3):
        return BLUEPRINTS[name].build(channels)


def features(name: str) -> torch.Tensor:
    return torch.randn(SHAPES[BLUEPRINTS[name].family], generator=torch.Generator().manual_seed(5))


def test_names_in_the_table_are_the_blueprints_own() -> None:
    assert {name: blueprint.name for name, blueprint in BLUEPRINTS.items()} == {name: name for name in BLUEPRINTS}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_the_residual_is_zero_at_initialisation(name: str, dtype: torch.dtype, training: bool) -> None:
    h = features(name).to(dtype)
    residual = built(name).to(dtype).train(training)(h)
    assert residual.shape == h.shape
    assert residual.dtype == dtype
    assert torch.count_nonzero(residual) == 0


@pytest.mark.parametrize("name", [name for name in NAMES if BLUEPRINTS[name].family == "conv"])
def test_the_residual_is_zero_in_channels_last_memory(name: str) -> None:
    h = features(name).to(memory_format=torch.channels_last)
    assert torch.count_nonzero(built(name).to(memory_format=torch.channels_last)(h)) == 0  # type: ignore[call-overload] # torch's overloads miss it


@pytest.mark.parametrize("name", NAMES)
def test_some_parameter_learns_from_the_first_step(name: str) -> None:
    seed = built(name)
    h = features(name)
    residual = seed(h)
    gradients = torch.autograd.grad((residual * torch.cos(h)).sum(), list(seed.parameters()))
    assert max(float(gradient.abs().max()) for gradient in gradients) > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns_after_some_steps(name: str) -> None:
    seed = built(name)
    h = features(name)
    before = [parameter.clone() for parameter in seed.parameters()]
    optimizer = torch.optim.SGD(seed.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (seed(h) * torch.cos(h)).sum().backward()
        optimizer.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, seed.parameters(), strict=True))


# Worked out by hand for 16 channels.
SIZES = {
    "conv_norm": 16 + 16,
    "squeeze_excite": 16 * 8 + 8 + 8 * 16 + 16,
    "depthwise": 16 * 9 + 32 + 16 * 16 + 16,
    "conv_light": 16 * 16 * 9 + 32 + 16 * 16 + 16,
    "conv_bottleneck": 16 * 8 + 8 + 8 * 8 * 9 + 8 + 8 * 16 + 16,
    "conv_small": 16 * 16 + 16,
    "conv_heavy": 16 * 16 * 9 + 32 + 16 * 16 * 9 + 16,
    "mlp_norm": 16 + 16,
    "linear_bottleneck": 16 * 4 + 4 + 4 * 16 + 16,
    "residual_mlp": 16 * 32 + 32 + 32 * 16 + 16,
    "layer_norm": 16 + 16,
    "lora": 16 * 8 + 8 * 16,
    "lora_large": 16 * 16 + 16 * 16,
    "feedforward_small": 32 + 16 * 32 + 32 + 32 * 16 + 16,
    "causal_attention": 32 + 16 * 48 + 48 + 16 * 16 + 16,
    "feedforward": 32 + 16 * 64 + 64 + 64 * 16 + 16,
}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_counted_truly(name: str) -> None:
    assert parameters_of(name, 16) == SIZES[name]
    assert sum(parameter.numel() for parameter in built(name).parameters()) == SIZES[name]


def test_counting_draws_no_random_numbers() -> None:
    before = torch.random.get_rng_state()
    parameters_of("conv_light", 16)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_unknown_blueprint_has_no_size() -> None:
    with pytest.raises(ConfigError, match="no_such"):
        parameters_of("no_such", 16)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", range(1, 17))
def test_every_width_can_be_built(name: str, channels: int) -> None:
    h = features(name)
    h = h[..., :channels] if BLUEPRINTS[name].family == "transformer" else h[:, :channels]
    assert built(name, channels)(h).shape == h.shape


@pytest.mark.parametrize("name", [name for name in NAMES if BLUEPRINTS[name].family == "transformer"])
def test_a_token_learns_nothing_of_those_after_it(name: str) -> None:
    seed = built(name)
    with torch.no_grad():
        for parameter in seed.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    h = features(name)
    later = h.clone()
    later[:, 4:, 0] += 1.0
    before, after = seed(h), seed(later)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])
