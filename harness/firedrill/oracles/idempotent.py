"""Restoring twice is restoring once."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, Restoration, host_tensors, of, restorations, where
from tolaria.telemetry.governor_events import RolledBack


@dataclass(frozen=True, slots=True)
class Idempotent(Oracle):
    """Every rollback to one snapshot leaves the same tensors and the same slots, byte for byte, however often it is made.

    A rollback that was begun anew in the middle of a rollback leaves what an undisturbed one would have.
    """

    kind: ClassVar[str] = "idempotent"

    def judge(self, evidence: Evidence) -> Finding:
        """Compares with the first rollback to the same snapshot, and after several attempts with the snapshot itself."""
        attempts = {where(event): event.work.attempts for event in of(evidence.faulted, RolledBack)}
        firsts: list[Restoration] = []
        repeated = 0
        for pair in restorations(evidence.faulted, evidence.claim.live_seeds):
            first = next((other for other in firsts if _same_snapshot(other, pair)), None)
            if first is None:
                firsts.append(pair)
            else:
                repeated += 1
                other = _difference(first, pair)
                if other:
                    number, since = pair.observed.snapshot, first.observed.at.step
                    return self.failed(pair.at, f"{other} is not what the rollback of step {since} to snapshot {number} left", "differs")
            if attempts.get(where(pair.observed), 1) > 1 and pair.snapshot is not None:
                repeated += 1
                torn = [name for name, tensor in host_tensors(pair.promised).items() if pair.found.get(name) != tensor]
                if torn:
                    return self.failed(pair.at, f"after several attempts {torn[0]} is not that of the snapshot", "torn")
        return self.passed(f"{repeated} rollbacks left what the first one did") if repeated else self.unknown("nothing was restored twice")


def _same_snapshot(one: Restoration, other: Restoration) -> bool:
    """By the snapshot itself and not its number alone, because a new host counts anew."""
    return one.snapshot is not None and one.snapshot is other.snapshot


def _difference(one: Restoration, other: Restoration) -> str:
    """The first tensor that differs or that only one has, or the slots; nothing where they are equal."""
    found, again = one.found, other.found
    name = next((name for name in sorted({*found, *again}) if found.get(name) != again.get(name)), "")
    return name or ("which slots hold seeds" if one.observed.occupied != other.observed.occupied else "")
