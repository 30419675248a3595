"""A low-rank adapter: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", beside a block instead of a matrix."""

from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed

RANK = 8


def low_rank(channels: int, rank: int) -> nn.Module:
    """x B A with B zero: linear, and so it can be folded into what follows."""
    rank = min(rank, channels)
    return nn.Sequential(nn.Linear(channels, rank, bias=False), zeroed(nn.Linear(rank, channels, bias=False)))


def _build(channels: int) -> nn.Module:
    return low_rank(channels, RANK)


LORA = Blueprint("lora", "transformer", "a linear map of rank 8 on every token", _build)
