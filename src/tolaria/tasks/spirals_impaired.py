"""Spirals for a host that can only draw straight lines: what bends them, seeds must bring. Learnt in milliseconds where they do."""

from dataclasses import replace

from torch import nn

from tolaria.host.block_host import BlockHost
from tolaria.host.host import Host
from tolaria.host.randomness import seeded
from tolaria.tasks.spirals import ARMS, spirals
from tolaria.tasks.task import Task

WIDTH = 8
DEPTH = 2


def spirals_impaired() -> Task:
    """The spirals task with a host of linear layers and nothing between them, so that growing pays."""
    return replace(spirals(), name="spirals_impaired", build_host=_build_host)


def _build_host(seed: int) -> Host:
    with seeded(seed):
        blocks = [nn.Linear(WIDTH if position else 2, WIDTH) for position in range(DEPTH)]
        head = nn.Linear(WIDTH, ARMS)
    return BlockHost(blocks, [WIDTH] * DEPTH, head, "mlp", [f"s{position}" for position in range(DEPTH)])
