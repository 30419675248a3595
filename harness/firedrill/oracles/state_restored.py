"""A rollback brings back what was saved, byte for byte."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, host_tensors, of, place, restorations, where
from tolaria.telemetry.governor_events import RolledBack

# Faults of these kinds strike the rollback itself, or what it restores; then an attempt may fail.
STRIKE_ROLLBACKS = frozenset(
    {"governor.raise_in", "snapshot.corrupt", "snapshot.stale", "mem.oom", "mem.limit", "cuda.oom", "stream.violate"}
)


@dataclass(frozen=True, slots=True)
class StateRestored(Oracle):
    """Every host tensor of the snapshot is found byte-equal right after the rollback.
    Seeds that were growing are expected back only where that is declared.

    Unless the rollback itself or a snapshot was struck its first attempt succeeds: otherwise a snapshot did not stay as it was published.
    """

    kind: ClassVar[str] = "state_restored"

    def judge(self, evidence: Evidence) -> Finding:
        """Compares digests of raw bytes, so that a NaN equals itself and -0 differs from +0."""
        pairs = restorations(evidence.faulted, evidence.claim.live_seeds)
        if not pairs:
            return self.unknown("no rollback was observed")
        for pair in pairs:
            number = pair.observed.snapshot
            if pair.snapshot is None:
                return self.failed(pair.at, f"restored from snapshot {number}, which was never seen published", "unpublished")
            found = pair.found
            for name, promised in host_tensors(pair.promised).items():
                if name not in found:
                    return self.failed(pair.at, f"{name} of snapshot {number} is gone", "gone")
                if found[name].digest != promised.digest:
                    return self.failed(pair.at, f"{name} differs from snapshot {number}", "differs")
        for told in of(evidence.faulted, RolledBack):
            if told.work.attempts > 1 and STRIKE_ROLLBACKS.isdisjoint(evidence.claim.fault_kinds):
                return self.failed(
                    place(*where(told)), f"{told.work.attempts} attempts were needed, and nothing had struck them", "attempts"
                )
        if not any(host_tensors(pair.promised) for pair in pairs):
            return self.unknown("no host tensor was observed")
        return self.passed(f"{sum(len(host_tensors(pair.promised)) for pair in pairs)} tensors byte-equal after {len(pairs)} rollbacks")
