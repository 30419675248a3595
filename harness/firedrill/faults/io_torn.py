"""The process dies in the middle of a write."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from firedrill.faults.disk_fault import DiskFault
from firedrill.faults.fault import Realism

if TYPE_CHECKING:
    from collections.abc import Callable

    from firedrill.faults.disk_operations import Operation


@dataclass(frozen=True, slots=True)
class IoTorn(DiskFault):
    """Imitates a machine that is gone while a checkpoint is written: half of the `nth` write is in the file, and nothing follows."""

    kind: ClassVar[str] = "io.torn"
    realism: ClassVar[Realism] = "real"

    def befall(self, operation: Operation, tell: Callable[[int, str], None]) -> Any:  # The process is gone before it answers.
        """Write half of it, and die of SIGKILL."""
        tell(operation.half_written(), "torn")
        os.kill(os.getpid(), signal.SIGKILL)
