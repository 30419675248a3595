"""The topology manifest: which seed is where, apart from the tensors.

Restoring is three acts. `prepare` builds what is missing aside and says which tensors the result will have; the
caller compares them with what it holds; `commit` puts the seeds in place, which cannot fail. Then the tensors are
copied. Until `commit`, nothing of the host has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.germination import build_seed
from tolaria.host.host import Host, module_tensors, seed_prefix
from tolaria.host.slot import Slot
from tolaria.host.state_codec import expect_keys, slot_from_dict, slot_to_dict
from tolaria.lifecycle.seed import Blend, SlotState

VERSION = 1


@dataclass(frozen=True, slots=True)
class Placement:
    """What one slot will hold; the seed is the live one wherever it is the same seed."""

    slot: Slot
    state: SlotState
    seed: nn.Module | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A host as it will be after `commit`: its placements, and the shape and dtype of every tensor by name."""

    placements: tuple[Placement, ...]
    expected: Mapping[str, tuple[tuple[int, ...], torch.dtype]]


def manifest(host: Host) -> dict[str, object]:
    """The host's topology in plain values that JSON can hold."""
    slots = {slot_id: {"channels": host.channels[slot_id], "state": slot_to_dict(state)} for slot_id, state in host.slot_states().items()}
    return {"version": VERSION, "family": host.family, "slots": slots}


def prepare(host: Host, topology: Mapping[str, object]) -> Plan:
    """A plan that leads from the host as it is to the topology; raises `ConfigError` where the two do not fit."""
    slots = _checked_slots(host, topology)
    placements = tuple(_placement(host, slot_id, slots[slot_id]) for slot_id in host.slots)
    own = {name: tensor for name, tensor in host.tensors().items() if not name.startswith("slots.")}
    for placement in placements:
        if placement.seed is not None:
            own |= module_tensors(placement.seed, seed_prefix(placement.slot.slot_id))
    return Plan(placements, {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in own.items()})


def commit(plan: Plan) -> None:
    """Put every slot into its planned state, seeds included; a slot that is planned empty loses a live seed."""
    for placement in plan.placements:
        if placement.seed is None:
            placement.slot.detach_seed(placement.state)
        else:
            placement.slot.attach(placement.seed, placement.state)


def _checked_slots(host: Host, topology: Mapping[str, object]) -> Mapping[str, object]:
    expect_keys("manifest", topology, {"version", "family", "slots"})
    if topology["version"] != VERSION:
        raise ConfigError("manifest.version", topology["version"], f"{VERSION}")
    if topology["family"] != host.family:
        raise ConfigError("manifest.family", topology["family"], host.family)
    return expect_keys("manifest.slots", topology["slots"], set(host.slots))


def _placement(host: Host, slot_id: str, entry: object) -> Placement:
    path = f"manifest.slots.{slot_id}"
    fields = expect_keys(path, entry, {"channels", "state"})
    slot = host.slot(slot_id)
    if fields["channels"] != slot.channels:
        raise ConfigError(f"{path}.channels", fields["channels"], f"{slot.channels}")
    state = slot_from_dict(fields["state"], f"{path}.state")
    if state.slot != slot_id:
        raise ConfigError(f"{path}.state.slot", state.slot, slot_id)
    return Placement(slot, state, _seed_for(host, slot, state))


def _seed_for(host: Host, slot: Slot, state: SlotState) -> nn.Module | None:
    if not state.occupied or state.blueprint is None:
        return None
    if slot.seed is not None and _identity(slot.state) == _identity(state):
        return slot.seed
    # Its values do not matter, because the tensors of the snapshot follow; they only must not depend on anything.
    return build_seed(state.blueprint, host.family, slot.channels, 0, host.like_at(slot.slot_id), state.blend)


def _identity(state: SlotState) -> tuple[object, ...]:
    return state.generation, state.blueprint, state.blend is Blend.GATE
