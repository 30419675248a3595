"""The first step that an optimizer makes after a rollback: how far it went, and what it went by."""

from dataclasses import dataclass

import torch

from firedrill.events import FirstStepSeen
from tolaria.env.capsule import CapsuleHost
from tolaria.telemetry.event import Point

HOST = "host"


@dataclass(frozen=True, slots=True)
class FirstStep:
    """The host's own parameters right before the step; `gradient` is the largest absolute one, which clipping only makes smaller."""

    before: tuple[torch.Tensor, ...]
    gradient: float

    @staticmethod
    def of(host: CapsuleHost) -> "FirstStep":
        """When gradients are there and nothing has moved yet."""
        parameters = _parameters(host)
        gradients = [float(p.grad.abs().max()) for p in parameters if p.grad is not None and p.grad.numel()]
        return FirstStep(tuple(parameter.detach().clone() for parameter in parameters), max(gradients, default=0.0))

    def seen(self, host: CapsuleHost, at: Point) -> FirstStepSeen:
        """When the optimizer has stepped."""
        optimizer = host.optimizers[HOST]
        group = optimizer.param_groups[0]
        moved = [float((now.detach() - then).abs().max()) for now, then in zip(_parameters(host), self.before, strict=True)]
        counts = [float(state["step"]) for state in optimizer.state.values() if "step" in state]
        return FirstStepSeen(
            at=at,
            optimizer=type(optimizer).__name__,
            lr=float(group["lr"]),
            decay=float(group["weight_decay"]),
            betas=tuple(map(float, group.get("betas", ()))),
            count=min(counts, default=0.0),
            weight=max(float(tensor.abs().max()) for tensor in self.before),
            gradient=self.gradient,
            displacement=max(moved),
        )


def _parameters(host: CapsuleHost) -> list[torch.nn.Parameter]:
    return [parameter for group in host.optimizers[HOST].param_groups for parameter in group["params"]]
