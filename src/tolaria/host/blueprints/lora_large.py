"""The low-rank adapter with four times the rank."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint
from tolaria.host.blueprints.lora import low_rank

RANK = 32


def _build(channels: int) -> nn.Module:
    return low_rank(channels, RANK)


LORA_LARGE = Blueprint("lora_large", "transformer", "a linear map of rank 32 on every token", _build)
