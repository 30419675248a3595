"""The benchmark of the snapshot engine on a CUDA device: takes that no host waits for, their way to the host, and what training notices."""

import copy
import platform
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import cycle

import torch

from firedrill.bench.cases import Size, model_of
from firedrill.bench.device_clock import Call, CudaClock, DeviceClock
from firedrill.bench.figures import (
    ARRIVED,
    ARRIVING,
    FASTER,
    KEPT,
    PUBLISHED,
    RESTORED,
    SLOWDOWN,
    WAITS,
    WORKED,
    DeviceRecord,
    Figure,
)
from firedrill.runner.machine import machine_class
from tolaria.governor.arena import CPU, Arena, Bound
from tolaria.governor.offload import Offload
from tolaria.governor.snapshots import SnapshotRing

WARMUPS = 3
CADENCES = (1, 5, 10, 20)
# Steps in a block of training, and rows in a batch of it: a step that keeps the device busy.
BLOCK, BLOCKS, ROWS = 40, 6, 512
TAKE, PUBLISHED_TAKE, CLONES, FLAT, PINNED, RESTORE, LOAD = (
    "take",
    "published take",
    "clones",
    "flat copy",
    "pinned copy",
    "restore",
    "load_state_dict",
)


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds by contestant, one a round: host kept, device worked, until all was done; and how often a take waited."""

    kept: dict[str, list[float]]
    worked: dict[str, list[float]]
    lasted: dict[str, list[float]]
    waits: list[int]


def measure(sizes: Sequence[Size], after_size: Callable[[], object]) -> DeviceRecord:
    """Every size on the current CUDA device; each restore is proven exact before anything is timed."""
    found: list[Figure] = []
    for size in sizes:
        contestants = built(size)
        samples = sampled(contestants, CudaClock(), size.rounds)
        found += figures(size, samples)
        found += slowdowns(size, training_blocks(size))
        after_size()
    versions = {"python": platform.python_version()} | {name: version(name) for name in ("torch", "numpy", "xxhash")}
    return DeviceRecord(machine(), versions, tuple(found))


def machine() -> dict[str, str]:
    """Where it is measured: the current CUDA device."""
    facts = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "class": machine_class(),
        "device": facts.name,
        "memory": f"{facts.total_memory >> 20} MiB",
        "capability": f"{facts.major}.{facts.minor}",
        "cuda": str(torch.version.cuda),
    }


def built(size: Size) -> dict[str, Call]:
    """The engine and its peers on one model, by name."""
    device = torch.device("cuda", torch.cuda.current_device())
    model = model_of(size).to(device)
    live = dict(model.named_parameters())
    bound = Bound.to(live)
    way = Offload(device, 2)
    pinned = [Arena.allocate(bound.layout, CPU, pinned=True) for _ in range(2)]
    prove_exact(live, bound, way, pinned[0])
    turns = cycle(pinned)

    def take() -> None:
        way.take(bound.renewed(live), next(turns))

    ring = SnapshotRing(2, 1, "offload")
    # The first one stays; candidates on probation then take turns in two arenas.
    ring.take(live, {}, 0, "begin", None, bool)
    kept: list[dict[str, torch.Tensor]] = []

    def clone() -> None:
        # Each is held until the next is made, as two arenas are.
        kept[:] = [{name: tensor.detach().clone() for name, tensor in live.items()}]

    flat = torch.ones(sum(tensor.nbytes for tensor in live.values()), dtype=torch.uint8, device=device)
    there, here = torch.ones_like(flat), torch.ones(flat.numel(), dtype=torch.uint8, pin_memory=True)
    saved = copy.deepcopy(model.state_dict())
    return {
        TAKE: take,
        PUBLISHED_TAKE: lambda: ring.take(live, {}, 1, "cadence", None, bool),
        CLONES: clone,
        FLAT: lambda: there.copy_(flat),
        PINNED: lambda: here.copy_(flat, non_blocking=True),
        RESTORE: lambda: pinned[0].copy_out(live, live, None),
        LOAD: lambda: model.load_state_dict(saved),
    }


def prove_exact(live: dict[str, torch.nn.Parameter], bound: Bound, way: Offload, arena: Arena) -> None:
    """A latency is worth nothing where the bytes that come back are not those that were taken."""
    before = {name: tensor.detach().clone() for name, tensor in live.items()}
    pending = way.take(bound, arena)
    with torch.no_grad():
        for tensor in live.values():
            tensor.add_(1.0)
    pending.wait()
    assert pending.is_finite()
    arena.copy_out(live, live, None)
    assert all(torch.equal(tensor.detach().view(torch.uint8), before[name].view(torch.uint8)) for name, tensor in live.items())


def sampled(contestants: dict[str, Call], clock: DeviceClock, rounds: int) -> Samples:
    """Every contestant once a round by every clock, in random order, so that a slow moment strikes all alike."""
    shuffler = random.Random(0)  # noqa: S311 - an order of sampling is no secret
    found = Samples(_empty(contestants), _empty(contestants), _empty(contestants), [])
    for number in range(-WARMUPS, rounds):
        for name in shuffler.sample(list(contestants), len(contestants)):
            call = contestants[name]
            kept, worked, lasted = clock.kept(call), clock.worked(call), clock.lasted(call)
            if number >= 0:
                found.kept[name].append(kept)
                found.worked[name].append(worked)
                found.lasted[name].append(lasted)
        if number >= 0:
            found.waits.append(clock.waits(contestants[TAKE]))
    return found


def figures(size: Size, samples: Samples) -> list[Figure]:
    """What the samples of one size come to; ratios are taken round by round."""
    kept, worked, lasted = samples.kept, samples.worked, samples.lasted
    # The way to the host begins when the device has its own copy.
    arriving = [max(whole - own, 1e-9) for whole, own in zip(lasted[TAKE], worked[TAKE], strict=True)]
    return [
        figure(KEPT, size, [1e6 * seconds for seconds in kept[TAKE]], "µs"),
        figure(WAITS, size, [float(max(samples.waits))], ""),
        figure(FASTER, size, ratios(kept[CLONES], kept[TAKE]), "times"),
        figure(WORKED, size, ratios(worked[TAKE], worked[FLAT]), "times"),
        figure(ARRIVING, size, ratios(lasted[PINNED], arriving), "times"),
        figure(PUBLISHED, size, [1e6 * seconds for seconds in kept[PUBLISHED_TAKE]], "µs"),
        figure(ARRIVED, size, [1e6 * seconds for seconds in lasted[TAKE]], "µs"),
        figure(RESTORED, size, ratios(lasted[LOAD], lasted[RESTORE]), "times"),
    ]


def training_blocks(size: Size) -> dict[int, list[float]]:
    """Seconds of blocks of training by how often a snapshot is taken, 0 for never; in one order and backwards in the next."""
    device = torch.device("cuda", torch.cuda.current_device())
    model = model_of(size).to(device)
    live = dict(model.named_parameters())
    # So small that no weight ever leaves the range of finite numbers.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, fused=True)
    inputs = torch.ones(ROWS, next(iter(live.values())).shape[1], device=device)
    ring = SnapshotRing(3, 3, "offload")
    ring.take(live, {}, 0, "begin", None, bool)

    def block(cadence: int) -> None:
        for number in range(BLOCK):
            optimizer.zero_grad()
            model(inputs).pow(2).mean().backward()
            optimizer.step()
            ring.age()
            if cadence and number % cadence == 0:
                ring.take(live, {}, number, "cadence", None, bool)

    return alternated(block, (0, *CADENCES), BLOCKS, CudaClock())


def alternated(block: Callable[[int], object], cadences: Sequence[int], blocks: int, clock: DeviceClock) -> dict[int, list[float]]:
    """So many blocks of each cadence, after one that only warms up."""
    found: dict[int, list[float]] = {cadence: [] for cadence in cadences}
    for number in range(-1, blocks):
        for cadence in cadences[:: -1 if number % 2 else 1]:
            seconds = clock.lasted(partial(block, cadence))
            if number >= 0:
                found[cadence].append(seconds)
    return found


def slowdowns(size: Size, blocks: dict[int, list[float]]) -> list[Figure]:
    """In percent of the same block without snapshots."""
    return [
        figure(SLOWDOWN.format(cadence), size, [100.0 * (ratio - 1.0) for ratio in ratios(seconds, blocks[0])], "%")
        for cadence, seconds in blocks.items()
        if cadence
    ]


def ratios(subject: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(subject, reference, strict=True)]


def figure(name: str, size: Size, samples: Sequence[float], unit: str) -> Figure:
    """The median, with what it is of."""
    return Figure(name, size.params, statistics.median(samples), unit, tuple(samples))


def _empty(names: Iterable[str]) -> dict[str, list[float]]:
    return {name: [] for name in names}
