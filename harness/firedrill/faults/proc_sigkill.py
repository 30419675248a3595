"""The process is gone without a word."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import ClassVar

from firedrill.faults.process_fault import ProcessFault


@dataclass(frozen=True, slots=True)
class ProcSigkill(ProcessFault):
    """Imitates the kernel that is out of memory, a scheduler that takes the machine back, or somebody with `kill -9`."""

    kind: ClassVar[str] = "proc.sigkill"

    def befall(self) -> None:
        """SIGKILL, which nobody can catch."""
        os.kill(os.getpid(), signal.SIGKILL)
