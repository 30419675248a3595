"""A feed-forward layer as in a block of a transformer: Vaswani et al. 2017, "Attention Is All You Need"."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed

FACTOR = 4


def two_layers(channels: int, factor: int) -> nn.Module:
    """Normalised, because the residual stream of a transformer grows with its depth."""
    hidden = factor * channels
    return nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, hidden), nn.GELU(), zeroed(nn.Linear(hidden, channels)))


def _build(channels: int) -> nn.Module:
    return two_layers(channels, FACTOR)


FEEDFORWARD = Blueprint("feedforward", "transformer", "two linear layers through four times the width, on every token", _build)
