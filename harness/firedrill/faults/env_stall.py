"""One environment takes its time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from firedrill.faults.fault import Fault, Realism, Scene, Strike, Unfit, digest
from tolaria.seams import BATCH_READY, STEP_BEGUN

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EnvStall(Fault):
    """Imitates a loader that waits for a slow disk, a straggler or a garbage collection: nothing happens for so many seconds.

    Whoever reads no clock comes to the same; whoever stalls for longer than the budget is ended by the watchdog.
    """

    seconds: float = 1.0

    kind: ClassVar[str] = "env.stall"
    phases: ClassVar[tuple[str, ...]] = (BATCH_READY.name, STEP_BEGUN.name)
    realism: ClassVar[Realism] = "real"
    aside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds < math.inf:
            raise Unfit("seconds", f"a stall lasts longer than 0 s and not for ever, so {self.seconds:g} s is none; proc.sigstop hangs")

    def strike(self, value: T, scene: Scene) -> T:
        """Tell, then sleep."""
        scene.witness(Strike("step", 1, digest("runs"), digest("stalls", self.seconds), f"{self.seconds:g} s"))
        time.sleep(self.seconds)
        return value
