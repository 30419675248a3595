"""A depthwise separable convolution."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, group_norm, zeroed


def _build(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        group_norm(channels),
        nn.ReLU(),
        zeroed(nn.Conv2d(channels, channels, 1)),
    )


DEPTHWISE = Blueprint("depthwise", "conv", "a 3x3 filter per channel, then a mix of channels", _build)
