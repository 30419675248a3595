"""A seed is built aside, probed, and only then handed out: a failed germination leaves the slot as it was."""

import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.blend import Gated
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.host.blueprints.blueprint import Blueprint
from tolaria.host.randomness import seeded
from tolaria.lifecycle.seed import Blend

# Shapes of the features that a seed is probed with, before and after the channels.
PROBE_SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {"conv": ((2,), (4, 4)), "mlp": ((2,), ()), "transformer": ((2, 8), ())}


def blueprint_named(name: str, family: str) -> Blueprint:
    """The blueprint of that name; raises `ConfigError` where it is unknown or made for other hosts."""
    fitting = {known: blueprint for known, blueprint in BLUEPRINTS.items() if blueprint.family == family}
    if name not in fitting:
        raise ConfigError("blueprint", name, f"one of {', '.join(sorted(fitting))}, which fit a host of family {family}")
    return fitting[name]


def build_seed(name: str, family: str, channels: int, seed: int, like: torch.Tensor, blend: Blend = Blend.ADD) -> nn.Module:
    """A seed module on the device and in the dtype of `like`, initialised from the seed and proven to fit."""
    blueprint = blueprint_named(name, family)
    before, after = PROBE_SHAPES[family]
    with seeded(seed):
        try:
            module = blueprint.build(channels).to(device=like.device, dtype=like.dtype)
            features = torch.randn(*before, channels, *after).to(device=like.device, dtype=like.dtype)
            if blend is Blend.GATE:
                module = Gated(module, channels).to(device=like.device, dtype=like.dtype)
            residual = _residual(module, features)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ConfigError(f"blueprint.{name}", f"{type(error).__name__}: {error}", "a module that takes the slot's features") from error
    _check(name, features, residual)
    return module


def parameters_of(name: str, channels: int) -> int:
    """How many parameters a seed has at this width: counted on a real one, which is built without memory or randomness."""
    if name not in BLUEPRINTS:
        raise ConfigError("blueprint", name, f"one of {', '.join(sorted(BLUEPRINTS))}")
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in BLUEPRINTS[name].build(channels).parameters())


@torch.no_grad()
def _residual(module: nn.Module, features: torch.Tensor) -> object:
    was_training = module.training
    # In eval mode, so that the probe leaves no trace in running statistics.
    module.eval()
    residual: object = module(features)
    module.train(was_training)
    return residual


def _check(name: str, features: torch.Tensor, residual: object) -> None:
    path = f"blueprint.{name}"
    if not isinstance(residual, torch.Tensor):
        raise ConfigError(path, type(residual).__name__, "one tensor as its output")
    found = (tuple(residual.shape), residual.dtype, residual.device)
    expected = (tuple(features.shape), features.dtype, features.device)
    if found != expected:
        raise ConfigError(path, found, f"an output like its input, {expected}")
    if not bool((residual == 0).all()):
        raise ConfigError(path, float(residual.abs().max()), "a residual that is zero at attachment")
