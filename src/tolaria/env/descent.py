"""Gradients forgotten, clipped and followed, in fewer calls than PyTorch's own ways take, and to the same bits.

Small hosts spend more time in what stands around these few operations than in the operations. What is not the plain case
(another optimizer, another device, somebody who listens to the steps) is left to PyTorch.
"""

from collections.abc import Iterable

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

MOMENTUM = "momentum_buffer"
# What PyTorch adds to a norm before it divides by it.
EPSILON = 1e-6


def forget_gradients(optimizer: torch.optim.Optimizer) -> None:
    """No parameter has a gradient any more."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def clip_gradients(parameters: Iterable[torch.Tensor], norm_max: float) -> torch.Tensor:
    """Scale gradients down together until their norm is at most this; returns the norm [] as it was. NaN spreads to all of them."""
    parameters = list(parameters)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        # Beside the parameters, because it is laid beside the numbers of other batches.
        return torch.zeros((), device=parameters[0].device if parameters else None)
    with torch.no_grad():
        norm: torch.Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, torch.clamp(norm_max / (norm + EPSILON), max=1.0))
    return norm


def is_heard(optimizer: torch.optim.Optimizer) -> bool:
    """Whether somebody listens to its steps, and so has to be called."""
    hooks = (_global_optimizer_pre_hooks, _global_optimizer_post_hooks)
    return any(map(bool, (*hooks, optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)))


def descend(optimizer: torch.optim.Optimizer) -> None:
    """One step by the gradients that are there."""
    if type(optimizer) is not torch.optim.SGD or is_heard(optimizer):
        optimizer.step()
        return
    for group in optimizer.param_groups:
        if group["fused"] or not all(parameter.device.type == "cpu" for parameter in group["params"]):
            optimizer.step()
            return
    with torch.no_grad():
        for group in optimizer.param_groups:
            _descend(optimizer, group["params"], group["lr"], group["momentum"], group["weight_decay"])


def _descend(optimizer: torch.optim.SGD, parameters: list[torch.Tensor], rate: float, momentum: float, decay: float) -> None:
    # As these optimizers are made here: without dampening, without Nesterov's look ahead, downhill.
    moved = [parameter for parameter in parameters if parameter.grad is not None]
    directions = [parameter.grad for parameter in moved if parameter.grad is not None]
    if not moved:
        return
    if decay:
        directions = list(torch._foreach_add(directions, moved, alpha=decay))
    if momentum:
        directions = _with_momentum(optimizer, moved, directions, momentum)
    torch._foreach_add_(moved, directions, alpha=-rate)


def _with_momentum(
    optimizer: torch.optim.SGD, parameters: list[torch.Tensor], directions: list[torch.Tensor], momentum: float
) -> list[torch.Tensor]:
    states = [optimizer.state[parameter] for parameter in parameters]
    known = [(state[MOMENTUM], direction) for state, direction in zip(states, directions, strict=True) if MOMENTUM in state]
    if known:
        buffers, steps = map(list, zip(*known, strict=True))
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, steps)
    for state, direction in zip(states, directions, strict=True):
        if MOMENTUM not in state:
            state[MOMENTUM] = direction.detach().clone()
    return [state[MOMENTUM] for state in states]
