"""The process stands still."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import ClassVar

from firedrill.faults.process_fault import ProcessFault


@dataclass(frozen=True, slots=True)
class ProcSigstop(ProcessFault):
    """Imitates a hang that nothing inside can end: a dead lock, a driver that never answers, a paused machine. Only a watchdog can tell."""

    kind: ClassVar[str] = "proc.sigstop"

    def befall(self) -> None:
        """SIGSTOP, which nobody can catch; whoever continues the process finds it as it was."""
        os.kill(os.getpid(), signal.SIGSTOP)
