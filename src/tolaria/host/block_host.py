"""A network that is a row of blocks: features flow block, slot, block, slot, ..., head."""

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.host import Host, evaluating


class BlockHost(Host):
    """Blocks, a slot after each block that asks for one ("s0" after block 0), and a head that gives logits.

    `widths` are the channels after each block, `slots` the ids that are wanted, in order of execution.
    """

    def __init__(self, blocks: Sequence[nn.Module], widths: Sequence[int], head: nn.Module, family: str, slots: Sequence[str]) -> None:
        possible = tuple(f"s{position}" for position in range(len(blocks)))
        _check_slots(slots, possible)
        assert len(widths) == len(blocks), (len(widths), len(blocks))
        super().__init__(family, {slot_id: width for slot_id, width in zip(possible, widths, strict=True) if slot_id in slots})
        # Names are listed in the order of the children, and that is the order in which features flow.
        last = self.slots
        del self.slots
        self.blocks = nn.ModuleList(blocks)
        self.slots = last
        self.head = head

    def forward(self, x: torch.Tensor, without: Collection[str] = ()) -> torch.Tensor:
        """Logits; slots named in `without` pass the features through."""
        for position, block in enumerate(self.blocks):
            x = block(x)
            slot_id = f"s{position}"
            if slot_id in self.slots and slot_id not in without:
                x = self.slots[slot_id](x)
        logits: torch.Tensor = self.head(x)
        return logits

    def shadow(self, slot_id: str, features: torch.Tensor) -> torch.Tensor:
        """Logits with this seed at alpha 1: only what comes after it is computed."""
        assert not features.requires_grad, "the shadow pass starts from detached features"
        slot = self.slot(slot_id)
        tail = [module for path in self._path_after(slot_id) for module in path.modules()]
        with evaluating(tail):
            x = slot.mixed_fully(features)
            for module in self._path_after(slot_id):
                x = module(x)
        return x

    @property
    def like(self) -> torch.Tensor:
        """The first parameter of the first block."""
        return next(self.blocks.parameters())

    def _path_after(self, slot_id: str) -> Iterator[nn.Module]:
        position = int(slot_id.removeprefix("s"))
        for later in range(position + 1, len(self.blocks)):
            yield self.blocks[later]
            if f"s{later}" in self.slots:
                yield self.slots[f"s{later}"]
        yield self.head


def _check_slots(slots: Sequence[str], possible: Sequence[str]) -> None:
    if isinstance(slots, str) or not slots:
        raise ConfigError("host.slots", slots, "a list of at least one slot id")
    if list(slots) != [slot_id for slot_id in possible if slot_id in slots]:
        raise ConfigError("host.slots", list(slots), f"some of {', '.join(possible)}, each once and in this order")
