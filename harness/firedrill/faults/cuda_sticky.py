"""A device breaks down and stays so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Realism, Scene, Strike, digest
from tolaria.seams import STEP_BEGUN, WEIGHTS_UPDATED

if TYPE_CHECKING:
    from tolaria.seams import Trainee


@dataclass(frozen=True, slots=True)
class CudaSticky(Fault):
    """Imitates an index out of range in a kernel: a real device-side assert, after which every call of CUDA fails in this process.

    No rollback can heal that, since nothing can be written any more; only another process can.
    """

    kind: ClassVar[str] = "cuda.sticky"
    phases: ClassVar[tuple[str, ...]] = (WEIGHTS_UPDATED.name, STEP_BEGUN.name)
    realism: ClassVar[Realism] = "real"
    aside: ClassVar[bool] = True

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Tell, then read behind the end of a tensor on the device, and wait for what becomes of that."""
        somewhere = next(iter(value.host.parameters())).detach()
        if not somewhere.is_cuda:
            raise CouldNotStrike("the host is on no CUDA device")
        scene.witness(Strike(str(somewhere.device), 1, digest("works"), digest("asserted"), "device-side assert"))
        behind = somewhere.new_ones(1).long()
        somewhere.new_zeros(1)[behind].cpu()
        return value
