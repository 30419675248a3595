"""What a blueprint is: a way to build a seed for features of a given number of channels.

The module takes features [B, C, ...] and returns a residual of the same shape, which is exactly zero at initialisation.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True)
class Blueprint:
    """`family` says which hosts it fits; `build` takes the number of channels and draws from the global generator."""

    name: str
    family: str
    about: str
    build: Callable[[int], nn.Module]


def zeroed(layer: nn.Conv2d | nn.Linear | nn.GroupNorm | nn.LayerNorm) -> nn.Module:
    """The layer with all its parameters at zero: as a last layer it makes the residual vanish, and learns at once."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with about sixteen channels a group, which knows no batch and so no running statistics."""
    groups = next(groups for groups in (32, 16, 8, 4, 2, 1) if channels % groups == 0 and (channels // groups >= 16 or groups == 1))
    return nn.GroupNorm(groups, channels)
