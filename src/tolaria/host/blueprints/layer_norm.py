"""Layer normalisation of every token as a residual."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed


def _build(channels: int) -> nn.Module:
    return zeroed(nn.LayerNorm(channels))


LAYER_NORM = Blueprint("layer_norm", "transformer", "layer normalisation with its own scale and shift per feature", _build)
