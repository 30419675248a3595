"""There is no room left on the disk."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from firedrill.faults.disk_fault import DiskFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from firedrill.faults.disk_operations import Operation


@dataclass(frozen=True, slots=True)
class IoEnospc(DiskFault):
    """Imitates a full disk: the `nth` operation that needs room, a new file or a write, fails with ENOSPC.

    Of a write half still finds room. With `for_steps: forever` the disk stays full.
    """

    kind: ClassVar[str] = "io.enospc"

    def concerns(self, operation: str) -> bool:
        """What needs room."""
        return operation in {"open", "write"}

    def befall(self, operation: Operation, tell: Callable[[int, str], None]) -> Any:  # It raises.
        """Fail, and leave what found room."""
        tell(operation.half_written() if operation.name == "write" else 1, "ENOSPC")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
