"""Snapshot and rollback against the limit, a flat copy of the same bytes, and against what one would write without this project."""

import copy
from itertools import cycle

import pytest
import torch

from tolaria.governor.snapshots import SnapshotRing

# Parameters, and tensors that they are spread over.
SIZES = {"0.1M": (100_000, 30), "1M": (1_000_000, 60)}


def model(parameters: int, tensors: int) -> torch.nn.Module:
    """Layers of equal size with that many parameters in all."""
    return torch.nn.ParameterDict({f"layer{index}": torch.randn(parameters // tensors) for index in range(tensors)})


def cloned(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The snapshot that everybody writes first, checked as ours is."""
    kept = {name: tensor.clone() for name, tensor in state.items()}
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.values())
    return kept


@pytest.mark.parametrize("size", SIZES)
def test_snapshot(contest, size: str) -> None:
    live = model(*SIZES[size])
    state = live.state_dict()
    flat = torch.cat([tensor.flatten() for tensor in state.values()])
    # As many buffers as the ring has arenas, so that the limit has no warmer caches than what is held against it.
    buffers = cycle([torch.zeros_like(flat) for _ in range(4)])
    ring = SnapshotRing(kept=3, probation=0)
    contest.shuffle(
        {
            "take": lambda: ring.take(state, {}, 0, "cadence", bool, bool),
            "flat copy": lambda: next(buffers).copy_(flat),
            "clone and isfinite": lambda: cloned(state),
            "deepcopy of state_dict": lambda: copy.deepcopy(live.state_dict()),
        },
        rounds=200,
    )
    for reference in ("flat copy", "clone and isfinite", "deepcopy of state_dict"):
        contest.compare("take", reference)
    newest = ring.published[0]
    assert newest.is_intact()
    assert all(torch.equal(newest.tensors[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("size", SIZES)
def test_rollback_copy(contest, size: str) -> None:
    live = model(*SIZES[size])
    state = live.state_dict()
    flat = torch.cat([tensor.flatten() for tensor in state.values()])
    target = torch.zeros_like(flat)
    ring = SnapshotRing(kept=3, probation=0)
    snapshot = ring.take(state, {}, 0, "begin", bool, bool)

    def written_back() -> None:
        with torch.no_grad():
            for name, tensor in snapshot.tensors.items():
                state[name].copy_(tensor)

    contest.shuffle(
        {
            "copy back": written_back,
            "check and copy back": lambda: (snapshot.is_intact(), written_back()),
            "flat copy": lambda: target.copy_(flat),
            "load_state_dict": lambda: live.load_state_dict(snapshot.tensors),
        },
        rounds=200,
    )
    for subject in ("copy back", "check and copy back"):
        for reference in ("flat copy", "load_state_dict"):
            contest.compare(subject, reference)
    assert all(torch.equal(snapshot.tensors[name], tensor) for name, tensor in live.state_dict().items())
