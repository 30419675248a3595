"""The contestants of the snapshot benchmark: the limit, the subject and its peers, on one model, hot or as training leaves it.

hot     each was just called, as far as caches can hold it
train   caches are evicted, then the parameters are touched as an optimizer step would touch them
"""

import ctypes
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from firedrill.bench.interleave import Contestant
from firedrill.bench.peers import LOAD, loading, snapshot_peers
from tolaria.governor.arena import Arena, Bound
from tolaria.governor.snapshots import SnapshotRing

TAKE, VALIDATED, PUBLISHED, SEALED, RESTORE = "take", "validated take", "published take", "sealed take", "restore"
ROLL_BACK, VERIFIED_ROLL_BACK = "roll back 4 of 16", "verified roll back 4 of 16"
# The limit is the faster of a memmove in one piece and one a tensor; which it is depends on the size and the machine.
OUT, BACK = ("memmove out, one piece", "memmove out, tensors"), ("memmove back, one piece", "memmove back, tensors")
OUT_4, LOAD_4 = ("memmove of 4, one piece",), f"4 x {LOAD}"

ENVIRONMENTS, STRUCK = 16, 4
# Caches are taken to hold no more than half of this.
EVICTED_BYTES = 64 << 20
# What is larger than any cache cannot be hot, and calling it once more would only take time.
HOT_UP_TO = 2_000_000

Calls = dict[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Size:
    """A model of about so many parameters in so many tensors, sampled so often."""

    params: int
    tensors: int
    rounds: int


SIZES = {
    "0.1M": Size(100_000, 30, 200),
    "1M": Size(1_000_000, 60, 80),
    "10M": Size(10_000_000, 150, 20),
    "100M": Size(100_000_000, 300, 7),
}
MODES = ("hot", "train")


def model_of(size: Size) -> torch.nn.Module:
    """Linear layers of one width; each has a weight and a bias."""
    layers = size.tensors // 2
    width = max(1, round(math.sqrt(size.params / layers + 0.25) - 0.5))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(layers)))


class Pair:
    """Two arenas, written alternately: the engine without the ring around it."""

    def __init__(self, live: Mapping[str, torch.Tensor]) -> None:
        self._live = live
        self._bound = Bound.to(live)
        self._back, self._front = (Arena.allocate(self._bound.layout, self._bound.device) for _ in range(2))

    def take(self) -> None:
        """Scan, copy, commit."""
        self._bound = self._bound.renewed(self._live)
        self._back.copy_in(self._bound, None)
        self._back, self._front = self._front, self._back

    def validated_take(self) -> None:
        """Scan, copy, check, commit."""
        self._bound = self._bound.renewed(self._live)
        self._back.copy_in(self._bound, None)
        assert not self._back.nonfinite()
        self._back, self._front = self._front, self._back

    def restore(self) -> None:
        """From the committed copy, which stays as it is."""
        self._front.copy_out(self._live, self._live, None)


class Limit:
    """memmove of the same bytes between ordinary memory, to two targets in turn; all pointers are made beforehand."""

    def __init__(self, sizes: list[int]) -> None:
        # Touched, so that its pages exist, and not zero, so that they are not all the same page.
        self.source = torch.ones(sum(sizes), dtype=torch.uint8)
        self._targets = [torch.ones_like(self.source) for _ in range(2)]
        self._turn = 0
        starts = [sum(sizes[:number]) for number in range(len(sizes))]
        source = self.source.data_ptr()
        self._whole = [(target.data_ptr(), source, sum(sizes)) for target in self._targets]
        self._pieces = [
            [(target.data_ptr() + start, source + start, size) for start, size in zip(starts, sizes, strict=True)]
            for target in self._targets
        ]

    def out(self) -> None:
        """In one piece."""
        self._turn = 1 - self._turn
        target, source, size = self._whole[self._turn]
        ctypes.memmove(target, source, size)

    def back(self) -> None:
        """In one piece, the other way."""
        target, source, size = self._whole[self._turn]
        ctypes.memmove(source, target, size)

    def out_in_tensors(self) -> None:
        """Tensor by tensor."""
        self._turn = 1 - self._turn
        for target, source, size in self._pieces[self._turn]:
            ctypes.memmove(target, source, size)

    def back_in_tensors(self) -> None:
        """Tensor by tensor, the other way."""
        for target, source, size in self._pieces[self._turn]:
            ctypes.memmove(source, target, size)

    def touch(self) -> None:
        """As an optimizer touches parameters."""
        self.source.add_(1)


def contestants(size: Size, mode: str) -> dict[str, Contestant]:
    """Everything that is timed at one size in one mode."""
    model = model_of(size)
    live = dict(model.named_parameters())
    limit = Limit([parameter.nbytes for parameter in live.values()])
    limits: Calls = {
        OUT[0]: limit.out,
        OUT[1]: limit.out_in_tensors,
        BACK[0]: limit.back,
        BACK[1]: limit.back_in_tensors,
    }
    work = _subjects(live) | snapshot_peers(model) | {LOAD: loading(model)}
    parameters: list[torch.Tensor] = list(model.parameters())
    found = _prepared(limits, limit.touch, mode, size) | _prepared(work, lambda: _touch(parameters), mode, size)
    return found if size.params > HOT_UP_TO // 10 else found | _selective(size, mode)


def _subjects(live: dict[str, torch.nn.Parameter]) -> Calls:
    pair = Pair(live)
    pair.take()
    unsealed, sealed = (SnapshotRing(2, 1, digest) for digest in ("offload", "always"))
    for ring in (unsealed, sealed):
        # The first one stays; candidates on probation then take turns in two arenas.
        ring.take(live, {}, 0, "begin", None, bool)
    return {
        TAKE: pair.take,
        VALIDATED: pair.validated_take,
        PUBLISHED: lambda: unsealed.take(live, {}, 1, "cadence", None, bool),
        SEALED: lambda: sealed.take(live, {}, 1, "cadence", None, bool),
        RESTORE: pair.restore,
    }


def _selective(size: Size, mode: str) -> dict[str, Contestant]:
    """Sixteen environments, of which four are rolled back."""
    models = [model_of(size) for _ in range(ENVIRONMENTS)]
    lives = [dict(model.named_parameters()) for model in models]
    snapshots = [SnapshotRing(2, 1).take(live, {}, 0, "begin", None, bool) for live in lives]
    loads = [loading(model) for model in models]
    struck = range(0, ENVIRONMENTS, ENVIRONMENTS // STRUCK)
    limit = Limit([sum(parameter.nbytes for parameter in lives[0].values())] * STRUCK)

    def roll_back() -> None:
        for env in struck:
            snapshots[env].arena.copy_out(lives[env], lives[env], None)

    def verified_roll_back() -> None:
        for env in struck:
            assert snapshots[env].is_intact()
            snapshots[env].arena.copy_out(lives[env], lives[env], None)

    def load() -> None:
        for env in struck:
            loads[env]()

    parameters: list[torch.Tensor] = [parameter for live in lives for parameter in live.values()]
    work: Calls = {ROLL_BACK: roll_back, VERIFIED_ROLL_BACK: verified_roll_back, LOAD_4: load}
    return _prepared({OUT_4[0]: limit.back}, limit.touch, mode, size) | _prepared(work, lambda: _touch(parameters), mode, size)


def _prepared(calls: Calls, touch: Callable[[], object], mode: str, size: Size) -> dict[str, Contestant]:
    if mode == "hot":
        return {name: Contestant(call, call if size.params <= HOT_UP_TO else _nothing) for name, call in calls.items()}
    evictor = torch.ones(EVICTED_BYTES, dtype=torch.uint8)

    def as_training_leaves_it() -> None:
        evictor.add_(1)
        touch()

    return {name: Contestant(call, as_training_leaves_it) for name, call in calls.items()}


def _touch(parameters: list[torch.Tensor]) -> None:
    with torch.no_grad():
        torch._foreach_mul_(parameters, 0.999)


def _nothing() -> None:
    """Nothing is to be done before."""
