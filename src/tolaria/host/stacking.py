"""Modules of many hosts computed at once: the same module with parameters [G, ...] of G lanes, on features [G, B, C].

A lane never meets another one. Products are batched matrix products, whose slices are computed each by itself; everything
else works element by element or along the last dimensions. So what a lane comes to does not depend, to the last bit, on
who else is in the stack, and a NaN stays in its lane. That holds where a lane is a whole number of vector registers, or
its last elements would be computed by other instructions than the same elements elsewhere: see `ROWS`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tolaria.host.blend import Gated
from tolaria.host.mlp_host import DenseBlock

# A batch has to be a multiple of so many samples: two registers of sixteen numbers, the widest that there are.
ROWS = 32

# Parameters [G, ...] by the names that they have in one lane's module.
Lot = Mapping[str, torch.Tensor]


def is_stackable(module: nn.Module) -> bool:
    """Whether it is made of modules that are known here, and nobody listens to any of them."""
    return type(module) in _STACKED and is_unheard(module) and all(map(is_stackable, module.children()))


def is_unheard(module: nn.Module) -> bool:
    """Whether nobody listens to what this very module computes."""
    return not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks)


def stacked(module: nn.Module, lot: Lot, x: torch.Tensor, prefix: str = "") -> torch.Tensor:
    """What such a module makes of x [G, B, C] with each lane's own parameters, whose names begin with the prefix."""
    return _STACKED[type(module)](module, lot, x, prefix)


def picked(x: torch.Tensor, lanes: torch.Tensor) -> torch.Tensor:
    """Some lanes [K, ...] of x [G, ...]."""
    result: torch.Tensor = _Picked.apply(x, lanes)  # type: ignore[no-untyped-call] # PyTorch declares no types for it.
    return result


def merged(x: torch.Tensor, some: torch.Tensor, lanes: torch.Tensor) -> torch.Tensor:
    """The lanes of x [G, ...], with some [K, ...] in the place of these."""
    result: torch.Tensor = _Merged.apply(x, some, lanes)  # type: ignore[no-untyped-call] # See above.
    return result


# What is added to other lanes' gradients: x + -0.0 is x, to the last bit, and -0.0 + 0.0 would not be.
NOTHING = -0.0


class _Picked(torch.autograd.Function):
    """Backward leaves the gradients of other lanes as they are."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, lanes: torch.Tensor) -> torch.Tensor:
        ctx.lanes, ctx.shape = lanes, x.shape
        return x.index_select(0, lanes)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient.new_full(ctx.shape, NOTHING).index_copy_(0, ctx.lanes, gradient), None


class _Merged(torch.autograd.Function):
    """Backward gives each lane's gradient to where its value came from."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, some: torch.Tensor, lanes: torch.Tensor) -> torch.Tensor:
        ctx.lanes = lanes
        return x.index_copy(0, lanes, some)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        return gradient.index_fill(0, ctx.lanes, NOTHING), gradient.index_select(0, ctx.lanes), None


def _linear(_module: nn.Module, lot: Lot, x: torch.Tensor, prefix: str) -> torch.Tensor:
    product = torch.bmm(x, lot[f"{prefix}weight"].transpose(1, 2))
    return product + lot[f"{prefix}bias"].unsqueeze(1) if f"{prefix}bias" in lot else product


def _sequential(module: nn.Module, lot: Lot, x: torch.Tensor, prefix: str) -> torch.Tensor:
    for name, child in module.named_children():
        x = stacked(child, lot, x, f"{prefix}{name}.")
    return x


def _layer_norm(module: nn.Module, lot: Lot, x: torch.Tensor, prefix: str) -> torch.Tensor:
    assert isinstance(module, nn.LayerNorm)
    x = F.layer_norm(x, module.normalized_shape, eps=module.eps)
    return x * lot[f"{prefix}weight"].unsqueeze(1) + lot[f"{prefix}bias"].unsqueeze(1)


def _dense(module: nn.Module, lot: Lot, x: torch.Tensor, prefix: str) -> torch.Tensor:
    assert isinstance(module, DenseBlock)
    return torch.tanh(_linear(module.linear, lot, x, f"{prefix}linear."))


def _gated(module: nn.Module, lot: Lot, x: torch.Tensor, prefix: str) -> torch.Tensor:
    assert isinstance(module, Gated)
    return stacked(module.gate, lot, x, f"{prefix}gate.") * stacked(module.body, lot, x, f"{prefix}body.")


_STACKED: dict[type[nn.Module], Callable[[nn.Module, Lot, torch.Tensor, str], torch.Tensor]] = {
    nn.Linear: _linear,
    nn.LayerNorm: _layer_norm,
    nn.Sequential: _sequential,
    nn.ReLU: lambda _module, _lot, x, _prefix: torch.relu(x),
    nn.Sigmoid: lambda _module, _lot, x, _prefix: torch.sigmoid(x),
    DenseBlock: _dense,
    Gated: _gated,
}
