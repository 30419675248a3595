"""Notices a backward pass through a graph that was built before a rollback.

Autograd notices most of it by itself, but not all: the first layer of a network saves its inputs only, and would get
gradients of weights that are gone without a word.
"""

from typing import Any

import torch

from tolaria.errors import GraphOutdated
from tolaria.integrations.nested import tensors_in


class OutdatedGraphs:
    """A forward hook of the watched model. It holds a number and nothing else, so that the model can still be copied and saved."""

    def __init__(self) -> None:
        self.restores = 0

    def __call__(self, module: torch.nn.Module, inputs: Any, outputs: Any) -> None:
        """Mark what leaves the model with the number of restores there had been."""
        if not torch.is_grad_enabled():
            return
        built = self.restores

        def refuse(_gradient: torch.Tensor) -> None:
            if self.restores != built:
                raise GraphOutdated("backward of a loss from before a rollback; run the forward pass again, after `after_step`")

        for tensor in tensors_in(outputs):
            if tensor.requires_grad:
                tensor.register_hook(refuse)
