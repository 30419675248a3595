"""A residual block of two linear layers: the strongest of the family, and the dearest."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed


def _build(channels: int) -> nn.Module:
    return nn.Sequential(nn.Linear(channels, 2 * channels), nn.ReLU(), zeroed(nn.Linear(2 * channels, channels)))


RESIDUAL_MLP = Blueprint("residual_mlp", "mlp", "two linear layers through twice the width", _build)
