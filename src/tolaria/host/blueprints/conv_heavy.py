"""Two full convolutions, as in a block of a residual network: the dearest of the family."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, group_norm, zeroed


def _build(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        group_norm(channels),
        nn.ReLU(),
        zeroed(nn.Conv2d(channels, channels, 3, padding=1)),
    )


CONV_HEAVY = Blueprint("conv_heavy", "conv", "two full 3x3 convolutions, which see five pixels far", _build)
