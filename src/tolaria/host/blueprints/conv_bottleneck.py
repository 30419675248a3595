"""A bottleneck: He et al. 2016, "Deep Residual Learning", without its normalisation."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed


def _build(channels: int) -> nn.Module:
    hidden = max(8, channels // 4)
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1),
        nn.ReLU(),
        zeroed(nn.Conv2d(hidden, channels, 1)),
    )


CONV_BOTTLENECK = Blueprint("conv_bottleneck", "conv", "a 3x3 convolution inside a quarter of the channels", _build)
