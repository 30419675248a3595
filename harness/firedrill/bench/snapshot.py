"""The benchmark of the snapshot engine: the limit, the subject and every peer in one run, on one thread."""

import os
import platform
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.metadata import version
from statistics import median

from firedrill.bench.apart import apart
from firedrill.bench.cases import (
    BACK,
    LOAD_4,
    OUT,
    OUT_4,
    PUBLISHED,
    RESTORE,
    ROLL_BACK,
    SEALED,
    TAKE,
    VALIDATED,
    VERIFIED_ROLL_BACK,
    Size,
    contestants,
    groups,
)
from firedrill.bench.clock import Sample, Spread, spread
from firedrill.bench.interleave import interleave
from firedrill.bench.peers import LOAD, SNAPSHOT_PEERS
from firedrill.bench.record import Case, Record

WARMUPS = 2
# How many processes each contestant has, one after the other: where the memory of one lies makes it up to a tenth faster or slower
# than its twin, for as long as it lives.
PROCESSES = 5
PEERS = tuple(SNAPSHOT_PEERS)
# Which limit and which peers each operation is held against.
AGAINST: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = (
    {
        TAKE: (OUT, PEERS),
        VALIDATED: (OUT, PEERS),
        PUBLISHED: (OUT, PEERS),
        SEALED: (OUT, PEERS),
        RESTORE: (BACK, (LOAD,)),
        ROLL_BACK: (OUT_4, (LOAD_4,)),
        VERIFIED_ROLL_BACK: (OUT_4, (LOAD_4,)),
    }
    | dict.fromkeys(PEERS, (OUT, ()))
    | {LOAD: (BACK, ()), LOAD_4: (OUT_4, ())}
)


def rounds_of(sizes: Iterable[Size], modes: Sequence[str]) -> int:
    """How often `after_round` of `measure` will be called."""
    return sum(rounds + WARMUPS for size in sizes for rounds in _rounds(size)) * len(modes)


def measure(sizes: Sequence[Size], modes: Sequence[str], after_round: Callable[[], object]) -> Record:
    """Sample every size in every mode; torch works on one thread."""
    cases = [case for size in sizes for mode in modes for case in _cases(size, mode, after_round)]
    return Record(machine(), versions(), tuple(cases))


def machine() -> dict[str, str]:
    """Where it is measured."""
    return {"system": f"{platform.system()} {platform.machine()}", "cores": str(os.cpu_count()), "threads": "1"}


def versions() -> dict[str, str]:
    """With what."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("torch", "numpy", "safetensors", "xxhash")}


def _cases(size: Size, mode: str, after_round: Callable[[], object]) -> list[Case]:
    shuffler = random.Random(0)  # noqa: S311 - an order of sampling is no secret
    samples: dict[str, list[Sample]] = {}
    for rounds in _rounds(size):
        with apart({group: partial(contestants, group, size, mode) for group in groups(size)}) as timed:
            for name, taken in interleave(timed, rounds, WARMUPS, shuffler, after_round).items():
                samples.setdefault(name, []).extend(taken)
    spreads = {name: spread(taken) for name, taken in samples.items()}
    return [_case(op, size, mode, spreads) for op in AGAINST if op in spreads]


def _rounds(size: Size) -> list[int]:
    """Those of a size, by process."""
    return [len(range(number, size.rounds, PROCESSES)) for number in range(min(PROCESSES, size.rounds))]


def _speedup(mine: Spread, peer: Spread) -> float:
    # Round by round, because both had the same moment; the median, because a machine that is lent to somebody else for a tenth of a
    # second books it as CPU time of whoever was at work.
    return median(theirs / own for theirs, own in zip(peer.seconds, mine.seconds, strict=True))


def _case(op: str, size: Size, mode: str, spreads: dict[str, Spread]) -> Case:
    limits, peers = AGAINST[op]
    mine = spreads[op]
    limit = min(spreads[name].median for name in limits)
    # Under the same name for one model and for four, so that a gate need not know.
    speedups = {peer.removeprefix("4 x "): _speedup(mine, spreads[peer]) for peer in peers}
    return Case(
        op,
        size.params,
        size.tensors,
        mode,
        mine.median / limit,
        speedups,
        mine.p10,
        mine.median,
        mine.mean,
        mine.p99,
        mine.wall_median,
        mine.samples,
        mine.contended,
        mine.seconds,
    )
