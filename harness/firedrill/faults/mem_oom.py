"""There is no memory left, or so it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from firedrill.faults.fault import Fault, Scene, Strike, digest, loaded_torch
from tolaria.seams import BATCH_READY, ROLLBACK_COPYING, SNAPSHOT_COPYING

T = TypeVar("T")

# Where a run asks for much: a forward pass, a snapshot, a rollback.
HUNGRY = tuple(seam.name for seam in (BATCH_READY, SNAPSHOT_COPYING, ROLLBACK_COPYING))


@dataclass(frozen=True, slots=True)
class MemOom(Fault):
    """Imitates an allocation that is refused, by the system or by the allocator of a device: its error is raised, once a step.

    What the neighbours of a process have taken, it cannot see; what they give back a moment later, it may have.
    """

    error: Literal["python", "torch"] = "torch"

    kind: ClassVar[str] = "mem.oom"
    phases: ClassVar[tuple[str, ...]] = HUNGRY

    def strike(self, value: T, scene: Scene) -> T:
        """Raise at the first passage of the step; a second attempt succeeds."""
        if scene.passage > 1:
            return value
        kind: type[Exception] = MemoryError if self.error == "python" else loaded_torch().OutOfMemoryError
        scene.witness(Strike("memory", 1, digest("given"), digest("refused"), kind.__name__))
        raise kind("injected into an allocation")
