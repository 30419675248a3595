"""How a seed's residual is mixed with the host's features. A residual of zero changes nothing, whatever alpha is."""

import torch

from tolaria.lifecycle.seed import Blend


def add(h: torch.Tensor, residual: torch.Tensor, alpha: float) -> torch.Tensor:
    """h + alpha r: the host's features stay in the sum, so blocks upstream keep their gradient at alpha 1."""
    return h + alpha * residual


def multiply(h: torch.Tensor, residual: torch.Tensor, alpha: float) -> torch.Tensor:
    """h (1 + alpha tanh r): the seed scales features, at most to twice their size."""
    return h * (1.0 + alpha * torch.tanh(residual))


BLENDS = {Blend.ADD: add, Blend.MULTIPLY: multiply}


def blend(h: torch.Tensor, residual: torch.Tensor, alpha: float, kind: Blend) -> torch.Tensor:
    """The mixture at strength alpha in (0, 1]. Alpha 0 is not computed but selected, see `Slot`."""
    return BLENDS[kind](h, residual, alpha)
