"""What a host is trained for: its data, how to build it, and what counts as chance."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from tolaria.host.host import Host
from tolaria.seeding import stream


@dataclass(frozen=True, slots=True)
class Split:
    """Inputs [N, ...], float32 or tokens, and targets as class indices: [N], or [N, T] where every place of a sequence has one."""

    inputs: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True, slots=True)
class Task:
    """A task owns its data, the host that fits it, and the rate that host learns at. `build_host` takes an initialisation seed.

    `digest` is the SHA-256 of data that is not the same everywhere, and empty for data that is.
    The test split is looked at when an episode ends, and for nothing else; what controls training sees `validation`.
    """

    name: str
    family: str
    classes: int
    train: Split
    validation: Split
    test: Split
    batch_size: int
    learning_rate: float
    build_host: Callable[[int], Host]
    explosion_factor: float = 1.5
    digest: str = ""

    @property
    def chance_loss(self) -> float:
        """The cross-entropy of guessing all classes alike, in nats."""
        return math.log(self.classes)

    @property
    def prior_loss(self) -> float:
        """The cross-entropy on the validation split of whoever knows how frequent each class is, and nothing else, in nats."""
        counts = torch.bincount(self.train.targets.flatten(), minlength=self.classes).double() + 1.0
        return float(-torch.log(counts / counts.sum())[self.validation.targets.flatten()].mean())

    @property
    def explosion_loss(self) -> float:
        """A loss above which a host is worse than clueless, whatever came before."""
        return self.explosion_factor * self.chance_loss

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy in nats of logits [B, K], or [B, T, K]."""
        return F.cross_entropy(logits.flatten(0, -2), targets.flatten())

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The same of each host of a stack [G], of logits [G, B, K] and targets [G, B]."""
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape).mean(dim=1)


def split_stratified(inputs: torch.Tensor, targets: torch.Tensor, seed: int) -> tuple[Split, Split, Split]:
    """Train, validation and test with 60, 20 and 20 percent of every class; the same ones for the same seed."""
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in range(int(targets.max()) + 1):
        members = stream(seed, "split", label).permutation(np.flatnonzero(targets.numpy() == label)).tolist()
        first, second = round(0.6 * len(members)), round(0.8 * len(members))
        parts[0].extend(members[:first])
        parts[1].extend(members[first:second])
        parts[2].extend(members[second:])
    train, validation, test = (Split(inputs[rows].clone(), targets[rows].clone()) for rows in map(sorted, parts))
    return train, validation, test
