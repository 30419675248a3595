"""The disk takes less than it was offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from firedrill.faults.disk_fault import DiskFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from firedrill.faults.disk_operations import Operation


@dataclass(frozen=True, slots=True)
class IoShort(DiskFault):
    """Imitates a network file system or an interrupted call: the `nth` write takes half of its bytes and says so, and nothing is wrong."""

    kind: ClassVar[str] = "io.short"

    def befall(self, operation: Operation, tell: Callable[[int, str], None]) -> Any:  # What a write answers.
        """Write half of it, and answer how much that was."""
        taken = operation.half_written()
        tell(taken, "short")
        return taken
