"""The system itself refuses to let a file grow."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from firedrill.faults.disk_fault import DiskFault
from firedrill.faults.fault import Realism

if TYPE_CHECKING:
    from collections.abc import Callable

    from firedrill.faults.disk_operations import Operation


@dataclass(frozen=True, slots=True)
class IoEfbig(DiskFault):
    """Imitates a quota with the real limit of the system (RLIMIT_FSIZE): the kernel takes half of the `nth` write and refuses the rest.

    The limit is lifted with the refusal, since the run's own history is written by the same process.
    """

    kind: ClassVar[str] = "io.efbig"
    realism: ClassVar[Realism] = "real"

    def befall(self, operation: Operation, tell: Callable[[int, str], None]) -> Any:  # What a write answers.
        """Write against the limit until the kernel refuses, and pass the kernel's own error on."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        written = 0
        # The signal that goes with the refusal is ignored by Python from the start.
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(1, len(operation.content) // 2), hard))
        try:
            while written < len(operation.content):
                written += operation.real(operation.args[0], operation.content[written:])
        except OSError as refusal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            tell(written, type(refusal).__name__)
            raise
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        return written
