"""Perceptrons of one task as one stack: the trunk over all of them, seeds by what grows where.

Seeds of one blueprint, blend and role at one slot make one group, wherever they grow. Which groups there are follows from
the slots' records, and changes with them; a group that stays as it is keeps its storage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from tolaria.env.descent import is_heard
from tolaria.env.lanes import Lane, Lanes
from tolaria.env.roles import FOSSIL, ISOLATED, LEARNING, role_of
from tolaria.env.training import BLENDED, HostTraining, optimizer_key, seed_module
from tolaria.host.blend import blend
from tolaria.host.mlp_host import MlpHost
from tolaria.host.slot import Slot
from tolaria.host.stacking import ROWS, Lot, is_stackable, is_unheard, merged, picked, stacked
from tolaria.lifecycle.seed import Blend

TRUNK = "trunk"

Kind = tuple[str, str | None, Blend, str]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Seeds of one kind at one slot: `places` are those of their hosts in the stack, `index` the same as a tensor [K]."""

    slots: tuple[Slot, ...]
    places: tuple[int, ...]
    lanes: Lanes
    index: torch.Tensor

    @property
    def seed(self) -> nn.Module:
        """One of them, which says what is computed."""
        return seed_module(self.slots[0])

    def mixed(self, features: torch.Tensor, lot: Lot, alpha: torch.Tensor | float) -> torch.Tensor:
        """Features [K, B, C] mixed with what the seeds make of them."""
        return blend(features, stacked(self.seed, lot, features), alpha, self.slots[0].state.blend)


@dataclass(slots=True)
class Shelf:
    """Storage from one step to the next, by what it is for; what a stack does not ask for is dropped with `tidy`."""

    kept: dict[object, tuple[tuple[nn.Module, ...], Lanes]] = field(default_factory=dict)
    wanted: set[object] = field(default_factory=set)

    def lanes(self, key: object, modules: Sequence[nn.Module], lanes: Sequence[Lane], names: Sequence[str], momentum: float) -> Lanes:
        """Lanes for these modules: those that are there, or new ones."""
        self.wanted.add(key)
        modules = tuple(modules)
        known = self.kept.get(key)
        if known is not None and _same(known[0], modules) and _same(optimizers_of(known[1].lanes), optimizers_of(lanes)):
            known[1].hold()
            return known[1]
        self.kept[key] = (modules, Lanes(names, lanes, momentum))
        return self.kept[key][1]

    def tidy(self) -> None:
        """Forget what nobody has asked for since the last time."""
        self.kept = {key: kept for key, kept in self.kept.items() if key in self.wanted}
        self.wanted = set()


class Stack:
    """Hosts [G] in their order. `features` are those at each slot [G, B, C] that the last pass came by, with their graph."""

    def __init__(self, members: Sequence[HostTraining], shelf: Shelf) -> None:
        self.members = tuple(members)
        self.host = members[0].host
        assert isinstance(self.host, MlpHost)
        names = list(self.host.own_parameters())
        trunk = [Lane(tuple(member.optimizers["host"].param_groups[0]["params"]), member.optimizers["host"]) for member in members]
        self.trunk = shelf.lanes(TRUNK, [member.host for member in members], trunk, names, members[0].config.momentum)
        self.groups: dict[str, dict[str, list[Group]]] = {slot: {ISOLATED: [], LEARNING: [], FOSSIL: []} for slot in self.host.slots}
        # Seeds that learn from the host's loss and do not reach it, by place and optimizer.
        self.silent: list[tuple[int, str]] = []
        for kind, found in self._sorted().items():
            self.groups[kind[0]][kind[3]].append(self._group(kind, found, shelf))
        shelf.tidy()
        self.features: dict[str, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [G, B, K] of inputs [G, B, C]."""
        self.features = {}
        return self._onwards(x, 0, None)

    def shadow(self, slot: str, group: Group, mixed: torch.Tensor) -> torch.Tensor:
        """Logits [K, B, K] of a group's hosts from mixed features, the rest of each host held fixed."""
        return self._onwards(mixed, int(slot.removeprefix("s")) + 1, group)

    def learning(self) -> list[Lanes]:
        """What the hosts' own loss teaches: the trunk, and the seeds that are blended."""
        return [self.trunk, *(group.lanes for groups in self.groups.values() for group in groups[LEARNING])]

    def with_role(self, role: str) -> list[tuple[str, Group]]:
        """The groups of one role, with their slots."""
        return [(slot, group) for slot, groups in self.groups.items() for group in groups[role]]

    def _onwards(self, x: torch.Tensor, start: int, only: Group | None) -> torch.Tensor:
        host = self.host
        assert isinstance(host, MlpHost)
        lot = self.trunk.lot if only is None else _fixed(self.trunk.lot, only.index)
        for position in range(start, len(host.blocks)):
            x = stacked(host.blocks[position], lot, x, f"blocks.{position}.")
            slot = f"s{position}"
            if only is None:
                self.features[slot] = x
            for group in (*self.groups[slot][LEARNING], *self.groups[slot][FOSSIL]) if slot in self.groups else ():
                x = self._through(group, x) if only is None else _through_some(group, x, only)
        return stacked(host.head, lot, x, "head.")

    def _through(self, group: Group, x: torch.Tensor) -> torch.Tensor:
        alpha = _alpha(group.slots, x)
        if len(group.places) == len(self.members):
            return group.mixed(x, group.lanes.lot, alpha)
        return merged(x, group.mixed(picked(x, group.index), group.lanes.lot, alpha), group.index)

    def _sorted(self) -> Mapping[Kind, list[tuple[int, Slot]]]:
        found: dict[Kind, list[tuple[int, Slot]]] = {}
        for place, member in enumerate(self.members):
            for slot in member.slots():
                role = role_of(slot)
                if role != ISOLATED:
                    slot.features = None
                if role is None:
                    if slot.state.stage in BLENDED:
                        self.silent.append((place, optimizer_key(slot)))
                    continue
                kind = (slot.slot_id, slot.state.blueprint, slot.state.blend, role)
                found.setdefault(kind, []).append((place, slot))
        return found

    def _group(self, kind: Kind, found: list[tuple[int, Slot]], shelf: Shelf) -> Group:
        places, slots = zip(*found, strict=True)
        modules = [seed_module(slot) for slot in slots]
        names = [name for name, _ in modules[0].named_parameters()]
        optimizers = [None if kind[3] == FOSSIL else self.members[place].optimizers[optimizer_key(slot)] for place, slot in found]
        lanes = [Lane(tuple(module.parameters()), optimizer) for module, optimizer in zip(modules, optimizers, strict=True)]
        kept = shelf.lanes(kind, modules, lanes, names, self.members[0].config.momentum)
        return Group(slots, places, kept, torch.tensor(places, device=self.members[0].device))


def could_be_stacked(member: HostTraining) -> bool:
    """Whether it is a host that stacks are made of, optimized in the way that is known here; the others are trained by themselves."""
    config = member.config
    plain = config.optimizer == "sgd" and not config.gate and not member.task.batch_size % ROWS
    return plain and type(member.host) is MlpHost and member.host.like.dtype is torch.float32


def can_be_stacked(member: HostTraining) -> bool:
    """Whether nothing is in the way now: something frozen, a module not known here, or somebody who listens where a stack would pass by."""
    host = member.host
    assert isinstance(host, MlpHost)
    # What is frozen would learn with the rest of its row.
    groups = [group["params"] for optimizer in member.optimizers.values() for group in optimizer.param_groups]
    frozen = not all(parameter.requires_grad for parameters in groups for parameter in parameters)
    if frozen or any(map(is_heard, member.optimizers.values())):
        return False
    containers = (host, host.blocks, host.slots, *member.slots())
    seeds = [slot.seed for slot in member.slots() if slot.seed is not None]
    return all(map(is_unheard, containers)) and all(map(is_stackable, (*host.blocks, host.head, *seeds)))


def optimizers_of(lanes: Sequence[Lane]) -> tuple[object, ...]:
    """The optimizer of each lane."""
    return tuple(lane.optimizer for lane in lanes)


def _through_some(group: Group, x: torch.Tensor, only: Group) -> torch.Tensor:
    """The same for the hosts of one group [K], which are among others in the group that is passed; it is held fixed."""
    common = [(here, group.places.index(place)) for here, place in enumerate(only.places) if place in group.places]
    if not common:
        return x
    here, there = (torch.tensor(side, device=x.device) for side in zip(*common, strict=True))
    alpha = _alpha([group.slots[lane] for _, lane in common], x)
    return merged(x, group.mixed(picked(x, here), _fixed(group.lanes.lot, there), alpha), here)


def _alpha(slots: Sequence[Slot], x: torch.Tensor) -> torch.Tensor:
    return torch.tensor([slot.state.alpha for slot in slots], dtype=x.dtype, device=x.device)[:, None, None]


def _fixed(lot: Lot, lanes: torch.Tensor) -> Lot:
    return {name: leaf.detach().index_select(0, lanes) for name, leaf in lot.items()}


def _same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))
