"""What workers are given to do, in a module of its own, because a worker imports it."""

import os
import signal
from collections.abc import Sequence

import torch
from torch import nn

from tolaria.env.growth_env import Broken, Outcome
from tolaria.env.pool import Decided, LoopPool
from tolaria.host.graft import graft
from tolaria.host.host import Host
from tolaria.host.randomness import seeded


class Dying(LoopPool):
    """Is killed with environment 1, in step 1."""

    def advance(self, decided: Sequence[Decided]) -> list[Outcome | Broken]:
        if (decided[0].env.env, decided[0].at.step) == (1, 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().advance(decided)


class Raising(LoopPool):
    """Comes to an error that nobody has foreseen."""

    def advance(self, decided: Sequence[Decided]) -> list[Outcome | Broken]:
        raise RuntimeError("not foreseen")


class Counting(LoopPool):
    """Tells how many threads it has."""

    def advance(self, decided: Sequence[Decided]) -> list[Outcome | Broken]:
        return [Broken(f"{torch.get_num_threads()} threads") for _ in decided]


class Halved(nn.Module):
    """A perceptron that computes in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 16, dtype=torch.bfloat16)
        self.head = nn.Linear(16, 3, dtype=torch.bfloat16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(torch.tanh(self.first(x.bfloat16())))
        return logits.float()


def halved(seed: int) -> Host:
    """A host of the spirals task in bfloat16."""
    with seeded(seed):
        network = Halved()
    return graft(network, ["first"], torch.zeros(4, 2))
