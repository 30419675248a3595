"""The disk does not do what it was told to."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from firedrill.faults.disk_fault import DiskFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from firedrill.faults.disk_operations import Operation


@dataclass(frozen=True, slots=True)
class IoEio(DiskFault):
    """Imitates a failing device or a lost connection to it: the `nth` operation of one sort, or of any, fails with EIO."""

    operation: Literal["any", "mkdir", "open", "write", "fsync", "close", "rename"] = "fsync"
    kind: ClassVar[str] = "io.eio"

    def concerns(self, operation: str) -> bool:
        """The sort that was asked for."""
        return self.operation in {"any", operation}

    def befall(self, operation: Operation, tell: Callable[[int, str], None]) -> Any:  # It raises.
        """Fail; a file is closed all the same, as Linux does it."""
        if operation.name == "close":
            operation.done()
        tell(1, "EIO")
        raise OSError(errno.EIO, os.strerror(errno.EIO))
