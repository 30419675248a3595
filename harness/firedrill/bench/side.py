"""One side of a comparison: a process that has loaded one state of the code, and times blocks of it when it is asked to.

    asked     a line of JSON: {"case": "1M", "rounds": 30}
    answers   a line of JSON: {"seconds": those of every call by operation, "wall": what is of the wall clock}, or {"error": "..."}

Each block is a fork of its own, so that no block works in memory that another one has left, and begins by putting some of its
memory out of the way, at random: where things lie decides over several percent of a copy, is the same in all forks of one
process, and would pass for a difference between the two states of the code. What is measured is the `tolaria`
that this process finds; what measures is the harness it was started from, the same for both sides.

What is timed stands in `sides`, a program for each, so that an older state of the code has to know only what is asked of it.
"""

import json
import multiprocessing
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

# The first optimizer of a process loads it, which takes longer than a block.
import torch._dynamo

import tolaria

WARMUPS = 3
# Pieces of memory, and how large they are at most: many within a page, some beyond what is mapped by itself.
PIECES, PIECE_BYTES_MAX = 400, 1 << 16
BLOBS, BLOB_BYTES_MAX = 20, 1 << 21


@dataclass(frozen=True, slots=True)
class Timing:
    """What a block times: every call of `one_round` gives seconds by operation, of the CPU, or of the wall for those of `wall`."""

    one_round: Callable[[], Mapping[str, float]]
    wall: tuple[str, ...] = ()


# Makes ready what is timed, for a case of that name.
Begin = Callable[[str], Timing]


def block(begin: Begin, case: str, rounds: int) -> dict[str, object]:
    """Seconds of `rounds` calls of every operation, round by round."""
    ballast = _ballast()
    timing = begin(case)
    taken = [timing.one_round() for _ in range(WARMUPS + rounds)][WARMUPS:]
    assert ballast, "it has to stay until here"
    return {"seconds": {name: [one[name] for one in taken] for name in taken[0]}, "wall": list(timing.wall)}


def _ballast() -> list[torch.Tensor]:
    # From the system, because this is what must not be the same twice.
    chance = random.SystemRandom()
    sizes = [chance.randrange(1, most) for count, most in ((PIECES, PIECE_BYTES_MAX), (BLOBS, BLOB_BYTES_MAX)) for _ in range(count)]
    kept = [torch.empty(size, dtype=torch.uint8) for size in chance.sample(sizes, len(sizes))]
    # Every other one leaves a gap.
    return kept[::2]


def answer(connection: Connection, begin: Begin, case: str, rounds: int) -> None:
    """In a fork: measure and tell."""
    try:
        connection.send(block(begin, case, rounds))
    except Exception:  # noqa: BLE001 - an older state of the code may fail in any way, and the other side has to hear of it
        connection.send({"error": traceback.format_exc(limit=-1).strip().splitlines()[-1]})


def serve(begin: Begin) -> None:
    """Say which code this is, then answer every line."""
    torch.set_num_threads(1)
    tell({"tolaria": next(iter(tolaria.__path__))})
    forks = multiprocessing.get_context("fork")
    for line in sys.stdin:
        asked = json.loads(line)
        here, there = forks.Pipe(duplex=False)
        process = forks.Process(target=answer, args=(there, begin, asked["case"], asked["rounds"]), daemon=True)
        process.start()
        there.close()
        try:
            tell(here.recv())
        except EOFError:
            tell({"error": "the process of a block died"})
        process.join()


def tell(what: object) -> None:
    """A line of JSON."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
