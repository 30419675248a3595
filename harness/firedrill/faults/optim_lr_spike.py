"""One step is made with a learning rate that is far too high."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, Unfit, digest
from tolaria.seams import GRADIENTS_READY

if TYPE_CHECKING:
    import torch

    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class OptimLrSpike(Fault):
    """Imitates a scheduler that is wrong for one step: a warm-up that was skipped, a unit mixed up, a restart at the old peak.

    It is the rate with which the optimizer itself steps, whoever had set it; after the step the old rate stands there again.
    """

    factor: float

    kind: ClassVar[str] = "optim.lr_spike"
    phases: ClassVar[tuple[str, ...]] = (GRADIENTS_READY.name,)

    def __post_init__(self) -> None:
        if not 1.0 < self.factor < math.inf:
            raise Unfit("factor", f"a spike is a finite factor above 1, not {self.factor:g}")

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Wait for the host's optimizer to step, once; only what it then does is witnessed."""
        if "host" not in value.optimizers:
            raise CouldNotStrike("the host has no optimizer")

        def spike(optimizer: torch.optim.Optimizer, _args: object, _kwargs: object) -> None:
            waiting.remove()
            rates = [group["lr"] for group in optimizer.param_groups]
            before = [float(rate) for rate in rates]

            def end(_optimizer: torch.optim.Optimizer, _args: object, _kwargs: object) -> None:
                ending.remove()
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate

            ending = optimizer.register_step_post_hook(end)
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * self.factor
            after = [float(group["lr"]) for group in optimizer.param_groups]
            scene.witness(Strike("learning rate of host", len(after), digest(*before), digest(*after), str(after[0])))

        waiting = value.optimizers["host"].register_step_pre_hook(spike)
        return value
