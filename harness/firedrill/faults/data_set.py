"""One number of the data becomes another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, check_positive_count, tensors_digest
from tolaria.seams import BATCH_READY, VALIDATION_READY

if TYPE_CHECKING:
    from tolaria.seams import Batch


@dataclass(frozen=True, slots=True)
class DataSet(Fault):
    """Imitates a damaged record: a pixel that was never written, or a decoder that overflowed.

    It is the first number of each of the first `samples` inputs; the data itself stays as it is, only what passes is changed.
    """

    value: float
    samples: int = 1

    kind: ClassVar[str] = "data.set"
    phases: ClassVar[tuple[str, ...]] = (BATCH_READY.name, VALIDATION_READY.name)

    def __post_init__(self) -> None:
        check_positive_count("samples", self.samples)

    def strike(self, value: Batch, scene: Scene) -> Batch:
        """A copy of the inputs [B, ...] with the numbers written, and the same targets."""
        count = min(self.samples, len(value.inputs))
        if not count:
            raise CouldNotStrike("there is no input")
        inputs = value.inputs.clone()
        inputs.flatten(1)[:count, 0] = self.value
        scene.witness(Strike("inputs", count, tensors_digest([value.inputs]), tensors_digest([inputs]), str(self.value)))
        return replace(value, inputs=inputs)
