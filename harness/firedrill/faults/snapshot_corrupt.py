"""A published snapshot rots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, tensors_digest
from tolaria.seams import SNAPSHOT_TAKEN

if TYPE_CHECKING:
    from tolaria.seams import Observed


@dataclass(frozen=True, slots=True)
class SnapshotCorrupt(Fault):
    """Imitates memory that loses a bit while nobody reads it: one random byte of a snapshot changes after it was published.

    The numbers that come of it are as plausible as any others; only a digest can tell.
    """

    kind: ClassVar[str] = "snapshot.corrupt"
    phases: ClassVar[tuple[str, ...]] = (SNAPSHOT_TAKEN.name,)

    def strike(self, value: Observed, scene: Scene) -> Observed:
        """Turn the lowest bit of one byte, in place."""
        filled = [(name, tensor) for name, tensor in value.tensors.items() if tensor.numel()]
        if not filled:
            raise CouldNotStrike(f"snapshot {value.snapshot} holds nothing")
        name, tensor = filled[int(scene.rng.integers(len(filled)))]
        before = tensors_digest([tensor])
        # By way of numpy, because this file is read where no torch is loaded.
        content = tensor.cpu().numpy().copy()
        content.reshape(-1).view("uint8")[int(scene.rng.integers(content.nbytes))] ^= 1
        tensor.copy_(tensor.new_tensor(content))
        scene.witness(Strike(f"snapshot {value.snapshot}, {name}", 1, before, tensors_digest([tensor]), "one byte"))
        return value
