"""Blocks of rollbacks of a growing host, whole and part by part. A case is a size of the host."""

from collections.abc import Mapping

from firedrill.bench.clock import sample
from firedrill.bench.rollback import BUFFER, PARTS, TOTAL, charging, struck
from firedrill.bench.side import Timing, serve


def begin(case: str) -> Timing:
    """A rollback a round, and the penalty for one. The governor times its parts by the wall clock."""
    ours, charge = struck(case), charging()

    def one_round() -> Mapping[str, float]:
        ours.parts.clear()
        whole = sample(ours.roll_back).cpu
        parts = {name: taken.wall for name, (taken,) in ours.parts.items()}
        found = {TOTAL: whole} | parts | {BUFFER: sample(charge).cpu}
        return {f"rollback: {name}": seconds for name, seconds in found.items()}

    return Timing(one_round, tuple(f"rollback: {name}" for name in PARTS.values()))


if __name__ == "__main__":
    serve(begin)
