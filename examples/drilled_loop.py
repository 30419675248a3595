"""Your own loop, cut into the pieces that firedrill drives: `firedrill run examples/drilled-loop.yaml`, from the folder above.

The loop knows nothing of faults. Run as a script it trains itself.
"""

import math
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from tolaria.integrations.plain import watch
from tolaria.telemetry.event import Event


class DigitsLoop:
    """Model, optimizer, data, and the governor around them; without `guarded` nobody is in the way of a fault."""

    def __init__(self, seed: int, device: str, guarded: bool, emit: Callable[[Event], None]) -> None:
        torch.manual_seed(seed)
        digits = load_digits()
        self.inputs = torch.tensor(digits.data, dtype=torch.float32, device=device) / 16
        self.targets = torch.tensor(digits.target, device=device)
        self.model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-3)
        self.scaler = None
        self.chance_loss = math.log(10)
        self.random = torch.Generator().manual_seed(seed)
        self.guard = watch(self.model, self.optimizer, chance_loss=self.chance_loss, emit=emit) if guarded else None

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(1400, (64,), generator=self.random)
        return self.inputs[chosen], self.targets[chosen]

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.model(inputs), targets)

    def backward(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()

    def step(self, loss: torch.Tensor) -> None:
        self.optimizer.step()
        if self.guard:
            self.guard.after_step(loss)

    def validate(self) -> tuple[float, float]:
        with torch.no_grad():
            logits, targets = self.model(self.inputs[1400:]), self.targets[1400:]
        return F.cross_entropy(logits, targets).item(), (logits.argmax(dim=1) == targets).float().mean().item()


def factory(*, seed: int, device: str, guarded: bool, emit: Callable[[Event], None]) -> DigitsLoop:
    """What `loop: examples.drilled_loop:factory` names."""
    return DigitsLoop(seed, device, guarded, emit)


if __name__ == "__main__":
    loop = factory(seed=0, device="cpu", guarded=False, emit=print)
    for _ in range(200):
        loss = loop.loss(*loop.batch())
        loop.backward(loss)
        loop.step(loss)
    print(f"accuracy on digits it has not seen: {loop.validate()[1]:.1%}")
