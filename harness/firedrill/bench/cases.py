"""The contestants of the snapshot benchmark: the limit, the subject and its peers, on one model, hot or as training leaves it.

hot     each was just called, as far as caches can hold it
train   caches are evicted, then the model is trained by one step

Each peer has a process of its own, as it would in somebody's training: what a system gives back to a process, and what the
process keeps for the next copy, is a large part of what a copy costs, and must not be what another contestant left behind.
"""

import ctypes
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from firedrill.bench.interleave import Contestant
from firedrill.bench.peers import DEEPCOPY_FRESH, LOAD, SNAPSHOT_PEERS, give_back, loading
from tolaria.governor.arena import Arena, Bound
from tolaria.governor.snapshots import SnapshotRing

TAKE, VALIDATED, PUBLISHED, SEALED, RESTORE = "take", "validated take", "published take", "sealed take", "restore"
ROLL_BACK, VERIFIED_ROLL_BACK = "roll back 4 of 16", "verified roll back 4 of 16"
# The limit is the faster of a memmove in one piece and one a tensor; which it is depends on the size and the machine.
OUT, BACK = ("memmove out, one piece", "memmove out, tensors"), ("memmove back, one piece", "memmove back, tensors")
OUT_4, LOAD_4 = ("memmove of 4, one piece",), f"4 x {LOAD}"

ENVIRONMENTS, STRUCK = 16, 4
STRUCK_ONES = range(0, ENVIRONMENTS, ENVIRONMENTS // STRUCK)
# Rows of the batch that models are trained on between samples.
BATCH = 4
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
    "10M": Size(10_000_000, 150, 40),
    "100M": Size(100_000_000, 300, 15),
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
        shared = self._bound.shared_pages(2)
        self._back, self._front = (Arena.allocate(self._bound.layout, self._bound.device, shared=shared) for _ in range(2))

    def take(self) -> None:
        """Scan, copy, commit."""
        self._bound = self._bound.renewed(self._live)
        self._back.copy_in(self._bound, None)
        self._back, self._front = self._front, self._back

    def validated_take(self) -> None:
        """Scan, copy, check, commit."""
        self._bound = self._bound.renewed(self._live)
        assert not self._back.copy_in_checked(self._bound)
        self._back, self._front = self._front, self._back

    def restore(self) -> None:
        """Scan, and copy from the committed copy, which stays as it is."""
        self._front.copy_out(self._live, self._live, None, self._bound)


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


def contestants(group: str, size: Size, mode: str) -> dict[str, Contestant]:
    """What one process times at one size in one mode; a group is the limit, the engine, or one peer."""
    built = GROUPS[group](size)
    return _prepared(built, mode, size)


def groups(size: Size) -> tuple[str, ...]:
    """The processes of one size; many environments are small ones."""
    return tuple(name for name in GROUPS if size.params <= HOT_UP_TO // 10 or "16" not in name)


@dataclass(frozen=True, slots=True)
class Built:
    """Calls on one model, how training touches it, and what comes right before each call, untimed."""

    calls: Calls
    touch: Callable[[], object]
    before: Callable[[], object]


def _limit(size: Size) -> Built:
    limit = Limit([parameter.nbytes for parameter in model_of(size).parameters()])
    ways = (limit.out, limit.out_in_tensors, limit.back, limit.back_in_tensors)
    return Built(dict(zip((*OUT, *BACK), ways, strict=True)), limit.touch, _nothing)


def _engine(size: Size) -> Built:
    model = model_of(size)
    live = dict(model.named_parameters())
    pair = Pair(live)
    pair.take()
    ring = SnapshotRing(2, 1, "offload")
    # The first one stays; candidates on probation then take turns in two arenas.
    ring.take(live, {}, 0, "begin", None, bool)
    calls: Calls = {
        TAKE: pair.take,
        VALIDATED: pair.validated_take,
        PUBLISHED: lambda: ring.take(live, {}, 1, "cadence", None, bool),
        SEALED: lambda: ring.take(live, {}, 1, "cadence", None, bool).sealed(),
        RESTORE: pair.restore,
    }
    return Built(calls, _training(model), _nothing)


def _peer(name: str) -> Callable[[Size], Built]:
    def build(size: Size) -> Built:
        model = model_of(size)
        call = loading(model) if name == LOAD else SNAPSHOT_PEERS[name](model)
        return Built({name: call}, _training(model), give_back if name == DEEPCOPY_FRESH else _nothing)

    return build


def _engine_of_16(size: Size) -> Built:
    models = [model_of(size) for _ in range(ENVIRONMENTS)]
    lives = [dict(model.named_parameters()) for model in models]
    rings = [SnapshotRing(2, 1) for _ in lives]
    snapshots = [ring.take(live, {}, 0, "begin", None, bool) for ring, live in zip(rings, lives, strict=True)]

    def roll_back() -> None:
        for env in STRUCK_ONES:
            snapshots[env].arena.copy_out(lives[env], lives[env], None, rings[env].bound)

    def verified_roll_back() -> None:
        for env in STRUCK_ONES:
            assert snapshots[env].is_intact()
            snapshots[env].arena.copy_out(lives[env], lives[env], None, rings[env].bound)

    return Built({ROLL_BACK: roll_back, VERIFIED_ROLL_BACK: verified_roll_back}, _training(*models), _nothing)


def _load_of_16(size: Size) -> Built:
    models = [model_of(size) for _ in range(ENVIRONMENTS)]
    loads = [loading(model) for model in models]

    def load() -> None:
        for env in STRUCK_ONES:
            loads[env]()

    return Built({LOAD_4: load}, _training(*models), _nothing)


def _limit_of_16(size: Size) -> Built:
    limit = Limit([sum(parameter.nbytes for parameter in model_of(size).parameters())] * STRUCK)
    return Built({OUT_4[0]: limit.back}, limit.touch, _nothing)


# One process each, so that nobody works in memory that somebody else has warmed.
GROUPS: dict[str, Callable[[Size], Built]] = (
    {"limit": _limit, "engine": _engine}
    | {name: _peer(name) for name in (*SNAPSHOT_PEERS, LOAD)}
    | {"limit of 16": _limit_of_16, "engine of 16": _engine_of_16, "load of 16": _load_of_16}
)


def _prepared(built: Built, mode: str, size: Size) -> dict[str, Contestant]:
    evictor = torch.ones(EVICTED_BYTES, dtype=torch.uint8)

    def as_training_leaves_it() -> None:
        evictor.add_(1)
        built.touch()

    def preparation(call: Callable[[], object]) -> Callable[[], None]:
        once_more = call if size.params <= HOT_UP_TO else _nothing
        leave = once_more if mode == "hot" else as_training_leaves_it

        def prepare() -> None:
            leave()
            built.before()

        return prepare

    return {name: Contestant(call, preparation(call)) for name, call in built.calls.items()}


def _training(*models: torch.nn.Module) -> Callable[[], object]:
    """One step of real training: gradients come and go beside the snapshots, and the optimizer touches every parameter."""
    parameters = [parameter for model in models for parameter in model.parameters()]
    # So small that no weight ever leaves the range of finite numbers.
    optimizer = torch.optim.SGD(parameters, lr=1e-6)
    inputs = torch.ones(BATCH, parameters[0].shape[1])

    def step() -> None:
        optimizer.zero_grad()
        for model in models:
            model(inputs).pow(2).mean().backward()
        optimizer.step()

    return step


def _nothing() -> None:
    """Nothing is to be done before."""
