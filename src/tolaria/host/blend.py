"""How a seed's residual is mixed with the host's features. A residual of zero changes nothing, whatever alpha is."""

import torch
from torch import nn

from tolaria.lifecycle.seed import Blend

# One for all samples, or of a shape that goes with the features.
Strength = float | torch.Tensor


def add(h: torch.Tensor, residual: torch.Tensor, alpha: Strength) -> torch.Tensor:
    """h + alpha r: the host's features stay in the sum, so blocks upstream keep their gradient at alpha 1."""
    return h + alpha * residual


def multiply(h: torch.Tensor, residual: torch.Tensor, alpha: Strength) -> torch.Tensor:
    """h (1 + alpha tanh r): the seed scales features, at most to twice their size."""
    return h * (1.0 + alpha * torch.tanh(residual))


# The residual of a gated seed has gone through its gate already, because the gate is part of the seed.
BLENDS = {Blend.ADD: add, Blend.MULTIPLY: multiply, Blend.GATE: add}


def blend(h: torch.Tensor, residual: torch.Tensor, alpha: Strength, kind: Blend) -> torch.Tensor:
    """The mixture at strength alpha in (0, 1]. Alpha 0 is not computed but selected, see `Slot`."""
    return BLENDS[kind](h, residual, alpha)


# Dimensions of a batch of images: samples, channels, height, width.
IMAGES = 4


class Gated(nn.Module):
    """A seed behind its own gate: r = g(h) s(h), with g in (0, 1) for each sample, or for each place of a sequence.

    The gate is born with the seed, learns with it from the first step, and is frozen, restored and dropped with it.
    """

    def __init__(self, body: nn.Module, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 4)
        self.body = body
        self.gate = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Features [B, C], [B, C, H, W] or [B, T, C] to a residual of the same shape."""
        # Pooled over an image, but not over a sequence, where a gate would see what comes later.
        openness: torch.Tensor = self.gate(h.mean(dim=(2, 3)))[:, :, None, None] if h.dim() == IMAGES else self.gate(h)
        residual: torch.Tensor = self.body(h)
        return openness * residual
