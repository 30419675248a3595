"""A mix of channels, pixel by pixel."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed


def _build(channels: int) -> nn.Module:
    return zeroed(nn.Conv2d(channels, channels, 1))


CONV_SMALL = Blueprint("conv_small", "conv", "a 1x1 convolution: a mix of channels that sees no neighbour", _build)
