"""A batch is not what it should be."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from firedrill.faults.fault import Fault, Scene, Strike, tensors_digest
from tolaria.seams import BATCH_READY

if TYPE_CHECKING:
    import numpy as np

    from tolaria.seams import Batch

# Far outside of any data, and far inside of what a float32 can be.
EXTREME = 1e6


@dataclass(frozen=True, slots=True)
class DataPoison(Fault):
    """Imitates a loader that mixes something up. The data itself stays as it is, only what passes is changed.

    labels: each sample has its neighbour's label, as after an index that is off by one. repeated: the first sample stands
    for all of them, as after a worker that is stuck. empty: no sample at all, as after a filter that leaves nothing. nan_pixels: one
    number of every sample is none, as after a decoder that failed. extreme: one is enormous, as after a unit mixed up.
    """

    mode: Literal["labels", "repeated", "empty", "nan_pixels", "extreme"] = "labels"

    kind: ClassVar[str] = "data.poison"
    phases: ClassVar[tuple[str, ...]] = (BATCH_READY.name,)

    def strike(self, value: Batch, scene: Scene) -> Batch:
        """Another batch; nothing that came is written to."""
        poisoned = self._poisoned(value, scene.rng)
        before, after = (tensors_digest([batch.inputs, batch.targets]) for batch in (value, poisoned))
        scene.witness(Strike("batch", len(value.targets), before, after, self.mode))
        return poisoned

    def _poisoned(self, batch: Batch, rng: np.random.Generator) -> Batch:
        match self.mode:
            case "labels":
                return replace(batch, targets=batch.targets.roll(1))
            case "repeated":
                inputs, targets = (tensor[:1].expand_as(tensor).clone() for tensor in (batch.inputs, batch.targets))
                return replace(batch, inputs=inputs, targets=targets)
            case "nan_pixels" | "extreme":
                numbers = batch.inputs.clone().flatten(1)  # [B, D]
                for sample in numbers:
                    sample[int(rng.integers(len(sample)))] = math.nan if self.mode == "nan_pixels" else EXTREME
                return replace(batch, inputs=numbers.view(batch.inputs.shape))
        return replace(batch, inputs=batch.inputs[:0], targets=batch.targets[:0])
