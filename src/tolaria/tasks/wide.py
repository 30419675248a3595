"""Digits, enlarged, for a perceptron as wide as one likes: up to a billion parameters, and nothing to learn that needs them.

For what depends on size alone, such as how long a snapshot and a rollback take where a host fills its device.
"""

import math

import torch.nn.functional as F

from tolaria.errors import ConfigError
from tolaria.host.host import Host
from tolaria.host.mlp_host import MlpHost
from tolaria.tasks.digits import digits
from tolaria.tasks.task import Split, Task

WIDTH = 256
# Pixels along a side.
SIDE = 16
DEPTH = 2
# One layer of it has about a billion numbers.
WIDTH_MAX = 32_768


class _Wide:
    """Builds hosts of one width; a class, because a process that a task is handed to finds no function inside another."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __call__(self, seed: int) -> Host:
        return MlpHost(inputs=SIDE * SIDE, width=self.width, depth=DEPTH, classes=10, seed=seed)


def wide(width: int = WIDTH) -> Task:
    """The digits task on such a host; what it learns at is slower, the wider it is."""
    if not 1 <= width <= WIDTH_MAX:
        raise ConfigError("width", width, f"1 to {WIDTH_MAX}")
    small = digits()
    train, validation, test = (_enlarged(split) for split in (small.train, small.validation, small.test))
    return Task(
        name="wide",
        family="mlp",
        classes=10,
        train=train,
        validation=validation,
        test=test,
        batch_size=32,
        learning_rate=0.1 / math.sqrt(max(1.0, width / WIDTH)),
        build_host=_Wide(width),
    )


def width_of(parameters: int) -> int:
    """The width at which the host has about so many parameters: the inputs, one square layer, and the head."""
    ends = SIDE * SIDE + 10 + DEPTH
    return max(1, round((math.sqrt(ends * ends + 4.0 * parameters) - ends) / 2.0))


def _enlarged(split: Split) -> Split:
    images = F.interpolate(split.inputs, size=(SIDE, SIDE), mode="nearest")
    return Split(images.flatten(1), split.targets)
