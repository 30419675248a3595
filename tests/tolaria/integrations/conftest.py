"""A small loop with everything that a loop can have, and a guard beside it."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tolaria.governor.config import GovernorConfig
from tolaria.integrations.loop_state import LoopParts, LoopState
from tolaria.integrations.outdated_graphs import OutdatedGraphs
from tolaria.integrations.plain import Answer, Guard, watch
from tolaria.telemetry.event import Event

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, amsgrad=True),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Net(torch.nn.Module):
    """Tied weights, batch statistics, and a buffer that no `state_dict` holds."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 8)
        self.norm = torch.nn.BatchNorm1d(8)
        self.again = torch.nn.Linear(8, 8, bias=False)
        self.tied = torch.nn.Linear(8, 8, bias=False)
        self.tied.weight = self.again.weight
        self.head = torch.nn.Linear(8, 3)
        self.register_buffer("calls", torch.tensor(0), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.calls += 1
        hidden = torch.relu(self.norm(self.first(inputs)))
        return self.head(torch.relu(self.tied(torch.relu(self.again(hidden)))))


class Loop:
    """Trains a `Net` on points whose class is plain to see. `step` trains and asks the guard."""

    def __init__(self, trainer: str = "adamw", guarded: bool = True, **settings: Any) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = Net()
        self.optimizer = OPTIMIZERS[trainer](self.model.parameters())
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(self.optimizer, [12, 16, 40], gamma=0.5)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=7)
        self.ema = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
        self.data = torch.Generator().manual_seed(1)
        self.events: list[Event] = []
        self.config = GovernorConfig(**settings)
        if guarded:
            self.guard = self.watched()

    def watched(self) -> Guard:
        parts: dict[str, Any] = {"scheduler": self.scheduler, "scaler": self.scaler, "ema": self.ema, "emit": self.events.append}
        return watch(self.model, self.optimizer, self.config, chance_loss=math.log(3), **parts)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = torch.randn(16, 4, generator=self.data)
        return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()

    def loss(self) -> torch.Tensor:
        inputs, targets = self.batch()
        return F.cross_entropy(self.model(inputs), targets)

    def train(self, factor: float = 1.0) -> torch.Tensor:
        """One optimizer step on the loss times a factor, without the guard."""
        loss = self.loss() * factor
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.ema.update_parameters(self.model)
        self.scheduler.step()
        return loss

    def step(self, factor: float = 1.0) -> Answer:
        return self.guard.after_step(self.train(factor))

    def run(self, steps: int) -> None:
        for _ in range(steps):
            assert self.step().outcome == "healthy"

    def spoil(self) -> None:
        """NaN in a weight, as a bit flip leaves it behind."""
        with torch.no_grad():
            self.model.head.weight[0, 0] = math.nan

    def state(self) -> dict[str, Any]:
        """Everything that lasts, as bytes and plain values."""
        optimizer = self.optimizer.state_dict()
        return copy.deepcopy(
            {
                "parameters": {name: raw(tensor) for name, tensor in self.model.named_parameters()},
                "buffers": {name: raw(tensor) for name, tensor in self.model.named_buffers()},
                "ema": {name: raw(tensor) for name, tensor in self.ema.state_dict().items()},
                "optimizer": {
                    (key, field): raw(value) if isinstance(value, torch.Tensor) else value
                    for key, fields in optimizer["state"].items()
                    for field, value in fields.items()
                },
                "groups": optimizer["param_groups"],
                "scheduler": self.scheduler.state_dict(),
                "scaler": self.scaler.state_dict(),
            }
        )


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.detach().numpy().tobytes()


@pytest.fixture
def new_loop() -> Callable[..., Loop]:
    return Loop


@pytest.fixture
def new_state() -> Callable[..., LoopState]:
    def build(model: torch.nn.Module, optimizer: torch.optim.Optimizer, **parts: Any) -> LoopState:
        return LoopState(LoopParts(model, [optimizer], **parts), OutdatedGraphs())

    return build
