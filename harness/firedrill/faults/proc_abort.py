"""The process ends itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from firedrill.faults.process_fault import ProcessFault


@dataclass(frozen=True, slots=True)
class ProcAbort(ProcessFault):
    """Imitates a failed assertion or a damaged heap in native code, which ends the process where it stands: no exception, no clean-up."""

    kind: ClassVar[str] = "proc.abort"

    def befall(self) -> None:
        """SIGABRT, as the C library raises it."""
        os.abort()
