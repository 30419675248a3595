"""Group normalisation as a residual."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, group_norm, zeroed


def _build(channels: int) -> nn.Module:
    return zeroed(group_norm(channels))


CONV_NORM = Blueprint("conv_norm", "conv", "group normalisation with its own scale and shift per channel", _build)
