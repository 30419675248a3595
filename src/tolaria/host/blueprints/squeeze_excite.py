"""Channel attention: Hu et al. 2018, "Squeeze-and-Excitation Networks", as a residual."""

import torch
import torch.nn.functional as F
from torch import nn

from tolaria.host.blueprints.blueprint import Blueprint, zeroed


class SqueezeExcite(nn.Module):
    """r = h tanh(g(mean h)): the gate's tanh is centred, so that a gate of zero adds nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 4)
        self.gate = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), zeroed(nn.Linear(hidden, channels)))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] to a residual of the same shape."""
        gate = torch.tanh(self.gate(F.adaptive_avg_pool2d(h, 1).flatten(1)))  # [B, C]
        return h * gate[:, :, None, None]


SQUEEZE_EXCITE = Blueprint("squeeze_excite", "conv", "channel attention from globally pooled features", SqueezeExcite)
