"""What one would write without this project. Each holds its last result while it makes the next, as two arenas do."""

import copy
import ctypes
import io
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from typing import Any

import safetensors.torch
import torch
from torch.distributed.checkpoint._state_dict_stager import StateDictStager

CLONE, DEEPCOPY, SAVE, STAGER = "clone and isfinite", "deepcopy of state_dict", "torch.save", "StateDictStager"
SAFETENSORS, LOAD = "safetensors save", "load_state_dict"
# The same copy in a process whose freed memory has gone back to the system, as that of its first copies has, and under allocators
# that give back soon. The pages of a large copy then cost more than its bytes. Where the C library kept them, which is a matter of
# what lies above them in its heap, a copy costs twice a memmove and not six times: both are shown, each by its name.
DEEPCOPY_FRESH = "deepcopy into fresh pages"


class Held:
    """Runs a call and keeps what it gave until the next one has been made."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._kept: object = None

    def __call__(self) -> None:
        """Run once."""
        self._kept = self._call()


def cloned(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The snapshot that everybody writes first, with the check that belongs to it."""
    kept = {name: tensor.clone() for name, tensor in state.items()}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.values())
    return kept


def saved(state: dict[str, torch.Tensor]) -> io.BytesIO:
    """Serialised into memory."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer


def loading(model: torch.nn.Module) -> Callable[[], object]:
    """The restore that everybody writes first, from a copy of its own in ordinary memory."""
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return lambda: model.load_state_dict(kept)


def staging(model: torch.nn.Module) -> Callable[[], object]:
    """Two stagers in turn: each writes over what it gave the last time."""
    state: dict[str, Any] = model.state_dict()
    stagers = cycle((StateDictStager(), StateDictStager()))
    return lambda: next(stagers).stage(state)


def give_back() -> None:
    """Hand freed memory back to the system, where the C library can be told to."""
    if sys.platform == "linux":
        # Other C libraries than glibc do not know it, and keep little anyway.
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _on_state(call: Callable[[dict[str, Any]], object]) -> Callable[[torch.nn.Module], Callable[[], object]]:
    def build(model: torch.nn.Module) -> Callable[[], object]:
        state: dict[str, Any] = model.state_dict()
        return Held(lambda: call(state))

    return build


# Ways to copy the state of a model, by name.
SNAPSHOT_PEERS: dict[str, Callable[[torch.nn.Module], Callable[[], object]]] = {
    CLONE: _on_state(cloned),
    DEEPCOPY: lambda model: Held(lambda: copy.deepcopy(model.state_dict())),
    DEEPCOPY_FRESH: lambda model: Held(lambda: copy.deepcopy(model.state_dict())),
    SAVE: _on_state(saved),
    STAGER: lambda model: Held(staging(model)),
    SAFETENSORS: _on_state(safetensors.torch.save),
}
