"""Nothing that is published or restored is poisoned."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.events import RollbackObserved, SnapshotObserved
from firedrill.oracles.oracle import Evidence, Finding, Oracle, place, where


@dataclass(frozen=True, slots=True)
class Clean(Oracle):
    """No NaN and no Inf in any tensor of any snapshot when it was published, nor of any host or optimizer after a rollback."""

    kind: ClassVar[str] = "clean"

    def judge(self, evidence: Evidence) -> Finding:
        """Snapshots that nobody restored count too: the next rollback would have."""
        observed = [event for event in evidence.faulted if isinstance(event, SnapshotObserved | RollbackObserved)]
        if not any(event.tensors for event in observed):
            return self.unknown("no tensor was observed")
        for event in observed:
            moment = "published" if isinstance(event, SnapshotObserved) else "restored"
            for tensor in event.tensors:
                if tensor.nonfinite:
                    detail = f"{tensor.name} held {tensor.nonfinite} non-finite numbers when snapshot {event.snapshot} was {moment}"
                    return self.failed(place(*where(event)), detail, moment)
        return self.passed(f"{sum(len(event.tensors) for event in observed)} tensors seen finite")
