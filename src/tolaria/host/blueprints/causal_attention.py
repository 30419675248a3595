"""One more attention layer, which looks back only: Vaswani et al. 2017, "Attention Is All You Need"."""

import torch
import torch.nn.functional as F
from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed

HEADS_MAX = 4


class CausalAttention(nn.Module):
    """Every token reads from itself and from those before it, never from a later one."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        assert channels % heads == 0, (channels, heads)
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.queries_keys_values = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """[B, T, C] to a residual of the same shape."""
        parts = self.queries_keys_values(self.norm(h)).unflatten(-1, (3, self.heads, -1))  # [B, T, 3, heads, C / heads]
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)  # each [B, heads, T, C / heads]
        read = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        residual: torch.Tensor = self.out(read.transpose(1, 2).flatten(2))
        return residual


def _build(channels: int) -> nn.Module:
    attention = CausalAttention(channels, next(heads for heads in range(HEADS_MAX, 0, -1) if channels % heads == 0))
    zeroed(attention.out)
    return attention


CAUSAL_ATTENTION = Blueprint("causal_attention", "transformer", "attention to the tokens before, in up to four heads", _build)
