"""The feed-forward layer at half its usual width."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint
from tolaria.host.blueprints.feedforward import two_layers

FACTOR = 2


def _build(channels: int) -> nn.Module:
    return two_layers(channels, FACTOR)


FEEDFORWARD_SMALL = Blueprint("feedforward_small", "transformer", "two linear layers through twice the width, on every token", _build)
