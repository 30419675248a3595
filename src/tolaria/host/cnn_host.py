"""A small convolutional network with slots."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.block_host import BlockHost
from tolaria.host.randomness import seeded

# Smaller images are not pooled: a seed needs more than one pixel to see a neighbourhood.
POOLED_SIZE_MIN = 4


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU, and a 2x2 max-pool where the image is large enough."""

    def __init__(self, in_channels: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        # The normalisation has its own shift, so the convolution needs none.
        self.conv = nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, in_channels, H, W] to [B, channels, H / 2, W / 2]."""
        x = F.relu(self.norm(self.conv(x)))
        return F.max_pool2d(x, 2) if min(x.shape[-2:]) >= POOLED_SIZE_MIN else x


class PooledHead(nn.Module):
    """The mean over all pixels, then a linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] to logits [B, K]."""
        logits: torch.Tensor = self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


class CnnHost(BlockHost):
    """`depth` blocks of width, 2 width, 4 width, ... channels; a slot after each, unless `slots` names fewer.

    Weights come from `seed` alone. A `kernel_size` of 1 makes a host that never sees two pixels together.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        depth: int,
        classes: int,
        *,
        seed: int,
        kernel_size: int = 3,
        slots: Sequence[str] | None = None,
    ) -> None:
        for name, found in (("in_channels", in_channels), ("width", width), ("depth", depth), ("classes", classes)):
            if found < 1:
                raise ConfigError(f"host.{name}", found, "at least 1")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ConfigError("host.kernel_size", kernel_size, "an odd number, so that images keep their size")
        widths = [width * 2**position for position in range(depth)]
        with seeded(seed):
            blocks = [ConvBlock(before, after, kernel_size) for before, after in zip([in_channels, *widths], widths, strict=False)]
            head = PooledHead(widths[-1], classes)
        super().__init__(blocks, widths, head, "conv", [f"s{i}" for i in range(depth)] if slots is None else slots)
