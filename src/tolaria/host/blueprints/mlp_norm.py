"""Layer normalisation as a residual."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed


def _build(channels: int) -> nn.Module:
    return zeroed(nn.LayerNorm(channels))


MLP_NORM = Blueprint("mlp_norm", "mlp", "layer normalisation with its own scale and shift per feature", _build)
