"""The gate: a gradient that is not finite never reaches the weights, and nobody waits for the device to say so.

The fused optimizers of PyTorch read a number on the device, `found_inf`. Where it is not zero they leave weights, moments
and step counters as they were. So the question is asked and answered on the device, in the order of its stream; the host
learns of it when it reads the flag, one or more steps later.

What the gate does not protect: buffers, which the forward pass writes. Other optimizers cannot be gated; `refusal` says why.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from tolaria.errors import ConfigError

# The only state that a fused optimizer makes in its first step without writing it where the step is skipped.
UNWRITTEN = "momentum_buffer"


def refusal(optimizer: Optimizer) -> str | None:
    """Why this optimizer cannot be gated; None where it can."""
    name = type(optimizer).__name__
    if not all(group.get("fused") for group in optimizer.param_groups):
        return f"{name} without fused kernels"
    if any(group.get("dampening") for group in optimizer.param_groups):
        # A skipped first step leaves zeros, and only without dampening does a step from zeros equal a first step.
        return f"{name} with dampening"
    return None


def flag_of(norms: torch.Tensor) -> torch.Tensor:
    """1.0 where a norm is not finite, else 0.0, on their device: exactly what is taken back from a step counter."""
    return (~torch.isfinite(norms)).to(torch.float32)


def flag_of_gradients(optimizer: Optimizer) -> torch.Tensor:
    """The flag of all gradients that an optimizer is about to use; by the largest of them, which does not overflow."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return flag_of(torch.nn.utils.get_total_norm(gradients, norm_type=float("inf")))


def gated_step(optimizer: Optimizer, flag: torch.Tensor) -> None:
    """A step that happens only where the flag is zero."""
    unwritten = _without_momentum(optimizer)
    vars(optimizer)["found_inf"] = flag
    try:
        optimizer.step()
    finally:
        del vars(optimizer)["found_inf"]
    _write(optimizer, unwritten, flag)


class Gate:
    """Stands before every step of somebody else's optimizers. A `GradScaler` may drive them; its own flag counts too."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        for number, optimizer in enumerate(optimizers):
            if why_not := refusal(optimizer):
                raise ConfigError(f"gate.optimizer.{number}", why_not, "one made with fused=True: Adam, AdamW, SGD or Adagrad")
        self._flags: list[torch.Tensor] = []
        # What a step under way was given, and what it has to write afterwards.
        self._given: dict[int, torch.Tensor] = {}
        self._unwritten: dict[int, list[torch.Tensor]] = {}
        self._hooks = [
            handle
            for optimizer in optimizers
            for handle in (optimizer.register_step_pre_hook(self._before), optimizer.register_step_post_hook(self._after))
        ]

    def take(self) -> torch.Tensor | None:
        """The flag of all steps since it was last asked for, still on the device; None where there was none."""
        flags, self._flags = self._flags, []
        return torch.stack([flag.to(flags[0].device, non_blocking=True) for flag in flags]).amax() if flags else None

    def close(self) -> None:
        """Leave the optimizers as optimizers that nobody gates."""
        for hook in self._hooks:
            hook.remove()

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # The optimizer itself comes first.
        if any(closure is not None for closure in (*args[1:], *kwargs.values())):
            raise ConfigError("gate.optimizer", "a step with a closure", "gradients that are there before the step")
        flag = flag_of_gradients(optimizer)
        found = vars(optimizer).get("found_inf")
        # One of our own is left over from a step that raised, and says nothing of this one.
        if found is not None and found is not self._given.get(id(optimizer)):
            flag = torch.maximum(flag, found.to(flag.device, torch.float32, non_blocking=True).clamp(max=1.0))
        self._unwritten[id(optimizer)] = _without_momentum(optimizer)
        self._given[id(optimizer)] = vars(optimizer)["found_inf"] = flag
        self._flags.append(flag)

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        flag = self._given.pop(id(optimizer))
        _write(optimizer, self._unwritten.pop(id(optimizer)), flag)
        # A scaler deletes it by itself, and has its `grad_scale` beside it.
        if "grad_scale" not in vars(optimizer):
            del vars(optimizer)["found_inf"]


def _without_momentum(optimizer: Optimizer) -> list[torch.Tensor]:
    return [
        p
        for group in optimizer.param_groups
        if group.get("momentum")
        for p in group["params"]
        if p.grad is not None and optimizer.state.get(p, {}).get(UNWRITTEN) is None
    ]


def _write(optimizer: Optimizer, parameters: Sequence[torch.Tensor], flag: torch.Tensor) -> None:
    # PyTorch hands uninitialised memory to the first step of SGD, and a skipped step leaves it to the second as its momentum.
    for parameter in parameters:
        state = optimizer.state[parameter]
        state[UNWRITTEN].masked_fill_(flag.to(parameter.device, non_blocking=True) > 0.0, 0.0)
