"""A cheap adapter: Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP"."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed


def _build(channels: int) -> nn.Module:
    hidden = max(4, channels // 4)
    return nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), zeroed(nn.Linear(hidden, channels)))


LINEAR_BOTTLENECK = Blueprint("linear_bottleneck", "mlp", "two linear layers through a quarter of the width", _build)
