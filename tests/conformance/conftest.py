"""The smallest hosts of every family, trained on the real data of a task that fits them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.host.cnn_host import CnnHost
from tolaria.host.host import Host
from tolaria.host.mlp_host import MlpHost
from tolaria.host.transformer_host import TransformerHost
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.tasks.task import Split, Task
from tolaria.tasks.text import VOCABULARY

SMALL: dict[str, Callable[[int], Host]] = {
    "conv": lambda seed: CnnHost(1, 4, 2, 10, seed=seed),
    "mlp": lambda seed: MlpHost(2, 8, 2, 3, seed=seed),
    "transformer": lambda seed: TransformerHost(VOCABULARY, 8, 8, 2, 2, seed=seed),
}
FITTING = {"conv": "digits", "mlp": "spirals", "transformer": "pydoc_lm"}


def shortened(split: Split) -> Split:
    """Sixty-four samples, and of sequences the first eight places."""
    targets = split.targets[:64, :8] if split.targets.dim() > 1 else split.targets[:64]
    return Split(split.inputs[:64, :8] if split.targets.dim() > 1 else split.inputs[:64], targets)


def task_for(family: str) -> Task:
    """A task of the table with little data and a little host."""
    task = TASKS[FITTING[family]]()
    train, validation, test = map(shortened, (task.train, task.validation, task.test))
    return replace(task, train=train, validation=validation, test=test, batch_size=8, build_host=SMALL[family])


@pytest.fixture(scope="session")
def small_task() -> Callable[[str], Task]:
    return task_for


@pytest.fixture
def train_small() -> Callable[..., CapsuleHost]:
    """A host of a family in training, one batch a step; keywords are those of `TrainingConfig`."""

    def build(family: str, **settings: Any) -> CapsuleHost:
        config = TrainingConfig(**({"batches_per_step": 1, "warmup_batches": 1} | settings))
        return CapsuleHost(task_for(family), config, 5, torch.device("cpu"), NO_TAPS, lambda _: None)

    return build
