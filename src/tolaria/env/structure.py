"""What a host's pass over a batch is made of: two hosts of one structure do the same, each with its own numbers."""

from dataclasses import dataclass

import torch

from tolaria.env.descent import is_heard
from tolaria.env.roles import ISOLATED, role_of
from tolaria.env.training import HostTraining
from tolaria.host.cnn_host import CnnHost
from tolaria.host.mlp_host import MlpHost
from tolaria.host.stacking import is_unheard
from tolaria.host.transformer_host import TransformerHost
from tolaria.lifecycle.seed import Blend

# Hosts whose passes are known to ask the device nothing and to draw nothing.
KNOWN = (MlpHost, CnnHost, TransformerHost)


@dataclass(frozen=True, slots=True)
class Part:
    """A seed that something is computed of. `pulled`: it was measured above its share, and its objective says so."""

    slot: str
    blueprint: str
    blend: Blend
    role: str
    pulled: bool


Structure = tuple[Part, ...]


def structure_of(training: HostTraining) -> Structure:
    """The structure that a host has now; how strongly a seed is mixed in is a number and no part of it."""
    parts = []
    for slot in training.slots():
        role, state = role_of(slot), slot.state
        if role is not None:
            assert state.blueprint is not None, state
            pulled = role == ISOLATED and state.magnitude is not None and state.magnitude > training.config.seed_magnitude_max
            parts.append(Part(state.slot, state.blueprint, state.blend, role, pulled))
    return tuple(parts)


def can_be_captured(training: HostTraining) -> bool:
    """Whether a graph does what the loop would do with it now: nobody listens to a module or an optimizer, and nothing unknown is in it."""
    host = training.host
    if type(host) not in KNOWN or host.like.dtype is not torch.float32:
        return False
    held = {id(p) for optimizer in training.optimizers.values() for group in optimizer.param_groups for p in group["params"]}
    seeds = [slot.seed for slot in training.live_slots() if slot.seed is not None]
    learning = {id(p) for p in (*host.own_parameters().values(), *(p for seed in seeds for p in seed.parameters())) if p.requires_grad}
    return (
        held == learning
        and all(map(is_unheard, host.modules()))
        and not any(map(is_heard, training.optimizers.values()))
        and not any(p._backward_hooks for p in host.parameters())
    )
