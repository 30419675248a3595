"""A batch is not what it should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from firedrill.faults.fault import Fault, Scene, Strike, tensors_digest
from tolaria.seams import BATCH_READY

if TYPE_CHECKING:
    from tolaria.seams import Batch


@dataclass(frozen=True, slots=True)
class DataPoison(Fault):
    """Imitates a loader that mixes something up. The data itself stays as it is, only what passes is changed.

    labels: each sample has its neighbour's label, as after an index that is off by one. repeated: the first sample stands
    for all of them, as after a worker that is stuck. empty: no sample at all, as after a filter that leaves nothing.
    """

    mode: Literal["labels", "repeated", "empty"] = "labels"

    kind: ClassVar[str] = "data.poison"
    phases: ClassVar[tuple[str, ...]] = (BATCH_READY.name,)

    def strike(self, value: Batch, scene: Scene) -> Batch:
        """Another batch; nothing that came is written to."""
        poisoned = self._poisoned(value)
        before, after = (tensors_digest([batch.inputs, batch.targets]) for batch in (value, poisoned))
        scene.witness(Strike("batch", len(value.targets), before, after, self.mode))
        return poisoned

    def _poisoned(self, batch: Batch) -> Batch:
        match self.mode:
            case "labels":
                return replace(batch, targets=batch.targets.roll(1))
            case "repeated":
                inputs, targets = (tensor[:1].expand_as(tensor).clone() for tensor in (batch.inputs, batch.targets))
                return replace(batch, inputs=inputs, targets=targets)
        return replace(batch, inputs=batch.inputs[:0], targets=batch.targets[:0])
