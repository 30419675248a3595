"""The device gives the process no more memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from firedrill.faults.fault import CouldNotStrike, Fault, Realism, Scene, Strike, check_positive_count, digest, loaded_torch
from firedrill.faults.mem_limit import MIB
from firedrill.faults.mem_oom import HUNGRY

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CudaOom(Fault):
    """Imitates a device that is full, with a real limit of PyTorch's allocator: so many MiB are asked for and really refused.

    Without the limit, a fraction of the device's memory that leaves only what is taken already, they would have been given, which
    the witness has tried. The limit is lifted with the refusal.
    """

    mib: int = 64

    kind: ClassVar[str] = "cuda.oom"
    phases: ClassVar[tuple[str, ...]] = HUNGRY
    realism: ClassVar[Realism] = "real"

    def __post_init__(self) -> None:
        check_positive_count("mib", self.mib)

    def strike(self, value: T, scene: Scene) -> T:
        """Ask at the first passage of the step, and pass the refusal on; a second attempt succeeds."""
        torch = loaded_torch()
        if not torch.cuda.is_initialized():
            raise CouldNotStrike("the process uses no CUDA device")
        if scene.passage > 1:
            return value
        given = torch.empty(self.mib * MIB, dtype=torch.uint8, device="cuda").nbytes
        # What was freed is kept for the next who asks, and is no part of the limit.
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved() / total)
        try:
            torch.empty(self.mib * MIB, dtype=torch.uint8, device="cuda")
        except torch.OutOfMemoryError as refusal:
            scene.witness(Strike("memory of the device", given, digest("given"), digest("refused"), type(refusal).__name__))
            raise torch.OutOfMemoryError(f"injected into the device: {self.mib} MiB were refused") from refusal
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return value
