"""The largest network that growing can reach, from the first step on: what a grown one is held against beside the small host."""

from dataclasses import replace

import torch
from torch import nn

from tolaria.host.block_host import BlockHost
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.host.germination import build_seed
from tolaria.host.host import Host
from tolaria.seeding import derive_seed
from tolaria.tasks.task import Task


class Widened(nn.Module):
    """A block with a seed's module added behind it for good, as `add` at alpha 1 would."""

    def __init__(self, block: nn.Module, added: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.added = added

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's features and the residual that is learnt on them."""
        h = self.block(x)
        mixed: torch.Tensor = h + self.added(h)
        return mixed


def strongest(family: str) -> str:
    """The last blueprint of a family: its largest."""
    return [name for name, blueprint in BLUEPRINTS.items() if blueprint.family == family][-1]


def enlarged(task: Task) -> Task:
    """The task with a host that has the strongest blueprint at every slot, as a part of itself, from the beginning."""

    def build(seed: int) -> Host:
        host = task.build_host(seed)
        assert isinstance(host, BlockHost), task.name
        for slot_id in host.slots:
            number = int(slot_id.removeprefix("s"))
            name, channels = strongest(host.family), host.slot(slot_id).channels
            added = build_seed(name, host.family, channels, derive_seed(seed, "large", slot_id), host.like)
            host.blocks[number] = Widened(host.blocks[number], added)
        return host

    return replace(task, name=f"{task.name}_large", build_host=build)
