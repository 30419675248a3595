"""A stretch of the training data is damaged, wherever in time it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene, Strike, check_positive_count, tensors_digest
from tolaria.seams import BATCH_READY

if TYPE_CHECKING:
    from tolaria.seams import Batch


@dataclass(frozen=True, slots=True)
class DataDamage(Fault):
    """Imitates a broken shard: in `batches` batches of the stream from number `first` on, every first number is `value`.

    It belongs to the data and not to the time: who reads other batches never meets it. Batches are numbered from 0, also those
    that nobody reads.
    """

    value: float
    first: int
    batches: int

    kind: ClassVar[str] = "data.damage"
    phases: ClassVar[tuple[str, ...]] = (BATCH_READY.name,)

    def __post_init__(self) -> None:
        check_positive_count("batches", self.batches)

    @property
    def persistent(self) -> bool:
        """How many of its batches are read is up to the reader."""
        return True

    def strike(self, value: Batch, scene: Scene) -> Batch:
        """A copy of the inputs [B, ...] with the numbers written; a batch outside the stretch goes on as it is."""
        if value.number is None or not self.first <= value.number < self.first + self.batches:
            return value
        inputs = value.inputs.clone()
        inputs.flatten(1)[:, 0] = self.value
        place = f"inputs of batch {value.number}"
        scene.witness(Strike(place, len(inputs), tensors_digest([value.inputs]), tensors_digest([inputs]), str(self.value)))
        return replace(value, inputs=inputs)
