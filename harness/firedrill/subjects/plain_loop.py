"""The subject `plain_loop`: a loop as people write it, model, optimizer, data and one of the mechanisms."""

import torch
from torch.nn import functional as F

from firedrill.subjects.drill import Drill, drive
from firedrill.subjects.loop import Emit, Setup
from firedrill.subjects.mechanisms import MECHANISMS, Parts
from firedrill.subjects.workload import Workload


class PlainLoop(Workload):
    """About twenty lines of PyTorch. With `amp` the forward pass is autocast, and a scaler stands before the optimizer."""

    def __init__(self, setup: Setup, emit: Emit) -> None:
        super().__init__(setup.task, setup.optimizer, setup.seed, setup.device, fused=setup.mechanism == "tolaria_gated")
        if setup.amp:
            self.scaler = torch.amp.GradScaler(setup.device)
        # float16 is what needs a scaler, and what a CPU has no fast way for.
        self._precision = torch.float16 if setup.device == "cuda" else torch.bfloat16
        parts = Parts(self.model, self.optimizer, self.scaler, setup.governor, self.chance_loss, emit)
        self._mechanism = MECHANISMS[setup.mechanism](parts)

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy in nats."""
        with torch.autocast(self.device, self._precision, enabled=self.scaler is not None):
            return F.cross_entropy(self.model(inputs), targets)

    def backward(self, loss: torch.Tensor) -> None:
        """Of the scaled loss, where there is a scaler."""
        (self.scaler.scale(loss) if self.scaler else loss).backward()

    def step(self, loss: torch.Tensor) -> None:
        """The mechanism before and after the optimizer."""
        if self.scaler:
            self.scaler.unscale_(self.optimizer)
        if self._mechanism.admits():
            if self.scaler:
                self.scaler.step(self.optimizer)
            else:
                self.optimizer.step()
        if self.scaler:
            self.scaler.update()
        self.optimizer.zero_grad()
        self._mechanism.after_step(loss)


def train(drill: Drill) -> None:
    """Build it and step it to the end."""
    drive(PlainLoop(drill.setup, drill.emit), drill)
