"""A perceptron with slots: trains in milliseconds."""

from collections.abc import Sequence

import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.block_host import BlockHost
from tolaria.host.randomness import seeded


class DenseBlock(nn.Module):
    """A linear layer and tanh."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, inputs] to [B, width]."""
        return torch.tanh(self.linear(x))


class MlpHost(BlockHost):
    """`depth` dense blocks of one width; a slot after each, unless `slots` names fewer. Weights come from `seed` alone."""

    def __init__(self, inputs: int, width: int, depth: int, classes: int, *, seed: int, slots: Sequence[str] | None = None) -> None:
        for name, found in (("inputs", inputs), ("width", width), ("depth", depth), ("classes", classes)):
            if found < 1:
                raise ConfigError(f"host.{name}", found, "at least 1")
        with seeded(seed):
            blocks = [DenseBlock(width if position else inputs, width) for position in range(depth)]
            head = nn.Linear(width, classes)
        super().__init__(blocks, [width] * depth, head, "mlp", [f"s{i}" for i in range(depth)] if slots is None else slots)
