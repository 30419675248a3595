"""Somebody writes without waiting for anybody."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import (
    CouldNotStrike,
    Fault,
    Realism,
    Scene,
    Strike,
    check_positive_count,
    loaded_torch,
    places,
    tensors_digest,
)
from tolaria.seams import STEP_BEGUN, WEIGHTS_UPDATED

if TYPE_CHECKING:
    from tolaria.seams import Trainee

# At the 1 to 2 GHz of today's devices.
CYCLES_PER_MS = 1_500_000


@dataclass(frozen=True, slots=True)
class StreamViolate(Fault):
    """Imitates kernels on streams of their own that nobody waits for: each writes NaN into a parameter, the first into the first one.

    It does so behind a kernel that runs for about `delay_ms`. A copy or a check that is made meanwhile may see the parameter as it
    was, or half of it; a rollback that does not wait is written over.
    """

    streams: int = 1
    delay_ms: int = 1

    kind: ClassVar[str] = "stream.violate"
    phases: ClassVar[tuple[str, ...]] = (WEIGHTS_UPDATED.name, STEP_BEGUN.name)
    realism: ClassVar[Realism] = "real"

    def __post_init__(self) -> None:
        check_positive_count("streams", self.streams)
        check_positive_count("delay_ms", self.delay_ms)

    def strike(self, value: Trainee, scene: Scene) -> Trainee:
        """Start each write behind a long kernel on a stream that waits for no other."""
        cuda = loaded_torch().cuda
        named = {name: parameter.detach() for name, parameter in islice(value.host.named_parameters(), self.streams)}
        if not all(written.is_cuda for written in named.values()):
            raise CouldNotStrike("the host is on no CUDA device")
        before = tensors_digest(named.values())
        after = tensors_digest([written.new_full(written.shape, float("nan")) for written in named.values()])
        for written in named.values():
            stream = cuda.Stream(written.device)
            with cuda.stream(stream):
                cuda._sleep(CYCLES_PER_MS * self.delay_ms)
                # By one kernel, for a source of its own might be gone before it is read.
                written.fill_(float("nan"))
            # Where a seed is pruned meanwhile, nobody is given its memory before it has been written.
            written.record_stream(stream)
        scene.witness(Strike(places(named), sum(written.numel() for written in named.values()), before, after, "nan"))
        return value
