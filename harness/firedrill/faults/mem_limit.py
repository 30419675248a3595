"""The system gives the process no more memory."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from firedrill.faults.fault import Fault, Realism, Scene, Strike, check_positive_count, digest
from firedrill.faults.mem_oom import HUNGRY

T = TypeVar("T")

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class MemLimit(Fault):
    """Imitates a container that is full, with the real limit of the system (RLIMIT_AS): so many MiB are asked for and really refused.

    Without the limit they would have been given, which the witness has tried. The limit is lifted with the refusal.
    """

    mib: int = 64

    kind: ClassVar[str] = "mem.limit"
    phases: ClassVar[tuple[str, ...]] = HUNGRY
    realism: ClassVar[Realism] = "real"

    def __post_init__(self) -> None:
        check_positive_count("mib", self.mib)

    def strike(self, value: T, scene: Scene) -> T:
        """Ask at the first passage of the step, and pass the refusal on; a second attempt succeeds."""
        if scene.passage > 1:
            return value
        given = len(bytearray(self.mib * MIB))
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(), hard))
        try:
            bytearray(self.mib * MIB)
        except MemoryError as refusal:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            scene.witness(Strike("memory", given, digest("given"), digest("refused"), type(refusal).__name__))
            raise MemoryError(f"injected into the process: {self.mib} MiB were refused") from refusal
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        return value
