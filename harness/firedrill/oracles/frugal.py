"""Rollbacks leave nothing behind."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.events import CensusTaken
from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place

QUANTITIES = ("tensors", "tensor_bytes", "hooks", "threads", "files")


@dataclass(frozen=True, slots=True)
class Frugal(Oracle):
    """Over `rollbacks` rollbacks at least, the later half never holds more than the earlier half did at its fullest.

    Tensors, their bytes, hooks, threads and open files are counted right after each rollback. A topology that comes and goes
    is no growth, as long as it came once in the earlier half.
    """

    rollbacks: int = 4
    kind: ClassVar[str] = "frugal"

    def judge(self, evidence: Evidence) -> Finding:
        """Compares the two halves, quantity by quantity."""
        counted = of(evidence.faulted, CensusTaken)
        if len(counted) < max(2, self.rollbacks):
            return self.unknown(f"{len(counted)} rollbacks were counted, {self.rollbacks} are asked for")
        earlier, later = counted[: len(counted) // 2], counted[len(counted) // 2 :]
        for name in QUANTITIES:
            most = max(getattr(census, name) for census in earlier)
            for census in later:
                if getattr(census, name) > most:
                    grown = getattr(census, name) - most
                    return self.failed(place(census.at.env, census.at.step), f"{grown} {name} more than ever before", "grows")
        return self.passed(f"nothing grew over {len(counted)} rollbacks")
