"""An error is raised inside the governor's own work."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from firedrill.faults.fault import Fault, Scene, Strike, check_positive_count, digest
from tolaria.seams import DETECTOR_ASKED, PENALTY_OWED, ROLLBACK_COPYING, ROLLBACK_PRUNING, SNAPSHOT_COPYING, SNAPSHOT_VERIFYING

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

# The harness's own seam, in the sink that it hands to the run.
SINK_WRITING = "sink_writing"

PHASES: Mapping[str, str] = {
    "snapshot": SNAPSHOT_COPYING.name,
    "verify": SNAPSHOT_VERIFYING.name,
    "restore": ROLLBACK_COPYING.name,
    "prune": ROLLBACK_PRUNING.name,
    "penalty": PENALTY_OWED.name,
    "telemetry": SINK_WRITING,
    "detector": DETECTOR_ASKED.name,
}


@dataclass(frozen=True, slots=True)
class GovernorRaiseIn(Fault):
    """Imitates memory that runs out, a device error or a full disk in the middle of a snapshot, a rollback or its report,
    and a detector with a defect.

    It raises at the `nth` passage of the operation's seam in the due step, counted from 1: for snapshot and restore that
    is the n-th tensor, for a detector the n-th that is asked. Every attempt after it succeeds, unless it `persists`.
    """

    operation: Literal["snapshot", "verify", "restore", "prune", "penalty", "telemetry", "detector"]
    nth: int = 1
    error: Literal["runtime", "memory", "os"] = "runtime"
    persists: bool = False

    kind: ClassVar[str] = "governor.raise_in"
    phases: ClassVar[tuple[str, ...]] = tuple(PHASES.values())

    def __post_init__(self) -> None:
        check_positive_count("nth", self.nth)

    @property
    def allowed_phases(self) -> tuple[str, ...]:
        """The one seam of the operation."""
        return (PHASES[self.operation],)

    @property
    def persistent(self) -> bool:
        """One step may hold several attempts, and each of them fails."""
        return self.persists

    def strike(self, value: T, scene: Scene) -> T:
        """Raise, or let the value pass where it is not yet, or no longer, the time."""
        if scene.passage < self.nth or (scene.passage > self.nth and not self.persists):
            return value
        error = self._error()
        place = f"{PHASES[self.operation]} number {scene.passage}"
        scene.witness(Strike(place, 1, digest("passed"), digest("raised"), type(error).__name__))
        raise error

    def _error(self) -> Exception:
        sentence = f"injected into {self.operation}, passage {self.nth}"
        match self.error:
            case "memory":
                return MemoryError(sentence)
            case "os":
                return OSError(errno.ENOSPC, sentence)
        return RuntimeError(sentence)
