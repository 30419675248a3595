"""A snapshot is not of the moment that it is said to be of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import Fault, Scene, Strike, places, tensors_digest
from tolaria.seams import SNAPSHOT_TAKEN

if TYPE_CHECKING:
    import torch

    from tolaria.seams import Observed


@dataclass(frozen=True, slots=True)
class SnapshotStale(Fault):
    """Imitates a buffer that is used again while its last copy is still under way: what is published holds the snapshot before it.

    The numbers are those of a good host, only of an older one. The first snapshot that is due is only remembered.
    """

    kind: ClassVar[str] = "snapshot.stale"
    phases: ClassVar[tuple[str, ...]] = (SNAPSHOT_TAKEN.name,)

    @property
    def persistent(self) -> bool:
        """Among so many due steps lie fewer snapshots."""
        return True

    def strike(self, value: Observed, scene: Scene) -> Observed:
        """Write the tensors of the snapshot before it over those of the same name and shape, in place."""
        before: dict[str, torch.Tensor] = dict(scene.kept)
        scene.kept.update({name: tensor.clone() for name, tensor in value.tensors.items()})
        stale = {name: tensor for name, tensor in value.tensors.items() if name in before and before[name].shape == tensor.shape}
        if not stale:
            return value
        told = tensors_digest(stale.values())
        for name, tensor in stale.items():
            tensor.copy_(before[name])
        first = next(iter(stale.values())).flatten()[0].item()
        elements = sum(tensor.numel() for tensor in stale.values())
        scene.witness(Strike(places(stale), elements, told, tensors_digest(stale.values()), str(first)))
        return value
