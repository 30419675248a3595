"""A full convolution: the strongest of the family, and the dearest."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, group_norm, zeroed


def _build(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        group_norm(channels),
        nn.ReLU(),
        zeroed(nn.Conv2d(channels, channels, 1)),
    )


CONV_LIGHT = Blueprint("conv_light", "conv", "a full 3x3 convolution, then a mix of channels", _build)
