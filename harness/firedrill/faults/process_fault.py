"""What faults that strike the process itself have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, TypeVar

from firedrill.faults.fault import Fault, Realism, Scene, Strike, digest
from tolaria.seams import (
    ACTION_APPLIED,
    BATCH_READY,
    CHECKPOINT_DUE,
    ROLLBACK_COPYING,
    ROLLED_BACK,
    SNAPSHOT_COPYING,
    SNAPSHOT_TAKEN,
    STEP_BEGUN,
    STEP_FINISHED,
    WEIGHTS_UPDATED,
)

T = TypeVar("T")

# Wherever a process may happen to be, the usual place first.
ANYWHERE = tuple(
    seam.name
    for seam in (
        STEP_BEGUN,
        ACTION_APPLIED,
        BATCH_READY,
        WEIGHTS_UPDATED,
        STEP_FINISHED,
        SNAPSHOT_COPYING,
        SNAPSHOT_TAKEN,
        ROLLBACK_COPYING,
        ROLLED_BACK,
        CHECKPOINT_DUE,
    )
)


class ProcessFault(Fault):
    """The witness is on the disk before the process is struck, because afterwards nobody is left to tell."""

    __slots__ = ()

    phases: ClassVar[tuple[str, ...]] = ANYWHERE
    realism: ClassVar[Realism] = "real"
    aside: ClassVar[bool] = True

    @abstractmethod
    def befall(self) -> None:
        """Strike the process that this is."""

    def strike(self, value: T, scene: Scene) -> T:
        """Tell, then strike; at a seam that a step has several passages of, at the first one."""
        if scene.passage == 1:
            scene.witness(Strike("process", 1, digest("runs"), digest(self.kind), self.kind))
            self.befall()
        return value
