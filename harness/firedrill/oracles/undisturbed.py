"""The run went its way, whatever happened to its process, its disk or whoever listened."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar

from firedrill.events import CensusTaken, FaultStruck, RunResumed, StateLeft
from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place, where
from tolaria.telemetry.event import Event
from tolaria.telemetry.run_events import RunFinished, StorageFailed

# What is told of the strike itself, of how it was met, and of control runs only.
BESIDE = (FaultStruck, RunResumed, CensusTaken, StorageFailed, StateLeft)


@dataclass(frozen=True, slots=True)
class Undisturbed(Oracle):
    """Every event, digests of the whole state among them, is what it is in the control run.

    Besides, the run was resumed exactly so often, and told of exactly so many checkpoints that could not be stored.
    """

    resumes: int = 0
    storage_failures: int = 0

    kind: ClassVar[str] = "undisturbed"

    def judge(self, evidence: Evidence) -> Finding:
        """Compares the two histories event by event."""
        if not of(evidence.control, RunFinished):
            return self.unknown("the control run did not finish")
        for one, other in zip_longest(lasting(evidence.faulted), lasting(evidence.control)):
            # By their words, in which a NaN equals itself.
            if repr(one) != repr(other):
                at = place(*where(one or other))
                return self.failed(at, f"{told(one)} where the control run has {told(other)}", "differs")
        counted = {"resumes": len(of(evidence.faulted, RunResumed)), "storage_failures": len(of(evidence.faulted, StorageFailed))}
        for name, wanted in {"resumes": self.resumes, "storage_failures": self.storage_failures}.items():
            if counted[name] != wanted:
                return self.failed("", f"{counted[name]} {name.replace('_', ' ')} told, not {wanted}", "count")
        return self.passed(f"{sum(1 for _ in lasting(evidence.control))} events are those of the control run")


def lasting(events: Iterable[Event]) -> Iterable[Event]:
    """What a run says of itself."""
    return (event for event in events if not isinstance(event, BESIDE))


def told(event: Event | None) -> str:
    """What stands at a place of a history."""
    return "nothing" if event is None else f"another {type(event).__name__}"
