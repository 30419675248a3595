"""Somebody writes without waiting for anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Realism, Scene, Strike, loaded_torch, tensors_digest
from tolaria.seams import STEP_BEGUN, WEIGHTS_UPDATED

if TYPE_CHECKING:
    from tolaria.seams import Trainee

# About a millisecond.
CYCLES = 1_000_000


@dataclass(frozen=True, slots=True)
class StreamViolate(Fault):
    """Imitates a kernel on a stream of its own that nobody waits for: it writes NaN into the first parameter at an unknown time.

    A copy or a check that is made meanwhile may see the parameter as it was, or half of it.
    """

    kind: ClassVar[str] = "stream.violate"
    phases: ClassVar[tuple[str, ...]] = (WEIGHTS_UPDATED.name, STEP_BEGUN.name)
    realism: ClassVar[Realism] = "real"

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Start a write behind a long kernel on a stream that waits for no other."""
        cuda = loaded_torch().cuda
        name, parameter = next(iter(value.host.named_parameters()))
        written = parameter.detach()
        if not written.is_cuda:
            raise CouldNotStrike("the host is on no CUDA device")
        after = written.new_full(written.shape, float("nan"))
        told = Strike(name, written.numel(), tensors_digest([written]), tensors_digest([after]), "nan")
        with cuda.stream(cuda.Stream(written.device)):
            cuda._sleep(CYCLES)
            written.copy_(after)
        scene.witness(told)
        return value
