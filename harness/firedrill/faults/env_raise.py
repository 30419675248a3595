"""An error is raised in the middle of one environment's step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from firedrill.faults.fault import Fault, Scene, Strike, digest
from tolaria.seams import ACTION_APPLIED, BATCH_READY, STEP_BEGUN, VITALS_MEASURED, WEIGHTS_UPDATED

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EnvRaise(Fault):
    """Imitates a bug or a failing resource in one environment: a data loader that dies, a kernel that is refused, memory that is gone."""

    error: Literal["runtime", "memory", "os"] = "runtime"

    kind: ClassVar[str] = "env.raise"
    phases: ClassVar[tuple[str, ...]] = tuple(
        seam.name for seam in (BATCH_READY, STEP_BEGUN, ACTION_APPLIED, WEIGHTS_UPDATED, VITALS_MEASURED)
    )

    def strike(self, value: T, scene: Scene) -> T:
        """Raise."""
        kinds: dict[str, type[Exception]] = {"runtime": RuntimeError, "memory": MemoryError, "os": OSError}
        kind = kinds[self.error]
        scene.witness(Strike("step", 1, digest("passed"), digest("raised"), kind.__name__))
        raise kind("injected into the environment")
