"""Snapshots: complete, verified, published by one assignment, and never touched again until they are dropped.

Each snapshot owns an arena: one flat tensor a dtype, with a view for every tensor of the state. A new snapshot is
copied into an arena that no published snapshot owns, is checked there (finite, digest over the raw bytes), and only
then enters the ring. Whatever fails before that, at any copy, leaves every published snapshot as it was.
"""

import cmath
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import xxhash

from tolaria.errors import TolariaError
from tolaria.governor.governed import Spec

# Every tensor of an arena begins on a cache line.
ALIGNMENT = 64


class NotFinite(TolariaError):
    """A snapshot would have held NaN or Inf; it was not published."""


@dataclass(frozen=True, slots=True, eq=False)
class Arena:
    """Flat storage for one layout, and a view into it for every tensor. `layout_text` is the layout as the digest reads it."""

    layout: dict[str, Spec]
    layout_text: bytes
    flats: dict[torch.dtype, torch.Tensor]
    views: dict[str, torch.Tensor]

    @staticmethod
    def allocate(layout: dict[str, Spec], device: torch.device) -> "Arena":
        """Zeroed storage, so that its pages exist before the first snapshot is timed."""
        # By name, because the digest must not depend on the order in which tensors come back from a checkpoint.
        layout = dict(sorted(layout.items()))
        offsets: dict[str, int] = {}
        sizes: dict[torch.dtype, int] = {}
        for name, (shape, dtype) in layout.items():
            offsets[name] = sizes.get(dtype, 0)
            step = max(1, ALIGNMENT // dtype.itemsize)
            sizes[dtype] = offsets[name] + (math.prod(shape) + step - 1) // step * step
        flats = {dtype: torch.zeros(size, dtype=dtype, device=device) for dtype, size in sizes.items()}
        views = {
            name: flats[dtype][offsets[name] : offsets[name] + math.prod(shape)].view(shape) for name, (shape, dtype) in layout.items()
        }
        return Arena(layout, repr(layout).encode(), flats, views)

    def digest(self, facts: dict[str, Any]) -> str:
        """xxh3-128 over the raw bytes of every flat tensor, the layout and the facts."""
        hasher = xxhash.xxh3_128()
        for dtype, flat in self.flats.items():
            hasher.update(str(dtype).encode())
            hasher.update(flat.cpu().view(torch.uint8).numpy().data)
        hasher.update(self.layout_text)
        hasher.update(json.dumps(facts, sort_keys=True).encode())
        return hasher.hexdigest()

    def nonfinite(self) -> tuple[str, ...]:
        """Names of the tensors that hold NaN or Inf."""
        floats = [flat for flat in self.flats.values() if _may_be_nonfinite(flat)]
        # A finite sum proves that every term is finite. One that is not may have overflowed, so then each tensor is asked.
        if all(cmath.isfinite(flat.sum().item()) for flat in floats):
            return ()
        return tuple(name for name, view in self.views.items() if _may_be_nonfinite(view) and not bool(torch.isfinite(view).all()))


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A published state. `healthy_steps` counts the healthy steps since; `step` is when it was taken."""

    number: int
    step: int
    reason: str
    digest: str
    facts: dict[str, Any]
    arena: Arena = field(repr=False)
    healthy_steps: int = 0

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Views into the arena, by stable name; to be read only."""
        return self.arena.views

    @property
    def bytes(self) -> int:
        """Size of the tensors."""
        return sum(view.numel() * view.element_size() for view in self.arena.views.values())

    def is_trusted(self, probation: int) -> bool:
        """The first snapshot of a life is trusted at once, any other after its probation."""
        return self.reason == "begin" or self.healthy_steps >= probation

    def is_intact(self) -> bool:
        """Whether its bytes are still those that were published."""
        return self.arena.digest(self.facts) == self.digest


def layout_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, Spec]:
    """Shapes and dtypes of live tensors."""
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


def wait_for_device(tensors: Mapping[str, torch.Tensor]) -> None:
    """Until kernels of other streams, too, have written what they write: a copy would be torn, a restored weight overwritten."""
    for device in {tensor.device for tensor in tensors.values() if tensor.is_cuda}:
        torch.cuda.synchronize(device)


def _may_be_nonfinite(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


class SnapshotRing:
    """The published snapshots of one host, newest first."""

    def __init__(self, kept: int, probation: int) -> None:
        self._kept = kept
        self._probation = probation
        self._published: tuple[Snapshot, ...] = ()
        self._spare: list[Arena] = []
        self._taken = 0

    @property
    def published(self) -> tuple[Snapshot, ...]:
        """Every snapshot that a rollback could use, newest first."""
        return self._published

    def trusted(self) -> tuple[Snapshot, ...]:
        """Those that came through their probation, newest first."""
        return tuple(snapshot for snapshot in self._published if snapshot.is_trusted(self._probation))

    def has_room(self) -> bool:
        """Whether a new snapshot would push out nothing that is still on probation, nor the newest trusted one."""
        return len(self._published) < self._kept or self._oldest_spendable() is not None

    def take(
        self,
        tensors: Mapping[str, torch.Tensor],
        facts: dict[str, Any],
        step: int,
        reason: str,
        before_copy: Callable[[int], object],
        before_verify: Callable[[int], object],
    ) -> Snapshot:
        """Copy, verify, publish. Raises `NotFinite`, or whatever a copy raised; the published snapshots are untouched then."""
        arena = self._arena_for(layout_of(tensors), tensors)
        try:
            wait_for_device(tensors)
            with torch.no_grad():
                for index, (name, tensor) in enumerate(tensors.items()):
                    before_copy(index)
                    arena.views[name].copy_(tensor)
            before_verify(0)
            spoiled = arena.nonfinite()
            if spoiled:
                raise NotFinite(f"not finite: {', '.join(spoiled[:5])}")
            frozen = json.loads(json.dumps(facts))
            snapshot = Snapshot(self._taken, step, reason, arena.digest(frozen), frozen, arena)
        except BaseException:
            self._release(arena)
            raise
        self._taken += 1
        self._publish(snapshot)
        return snapshot

    def age(self) -> tuple[int, ...]:
        """One more healthy step; returns the numbers of the snapshots that became trusted by it."""
        aged = tuple(replace(snapshot, healthy_steps=snapshot.healthy_steps + 1) for snapshot in self._published)
        promoted = tuple(
            after.number
            for before, after in zip(self._published, aged, strict=True)
            if after.is_trusted(self._probation) and not before.is_trusted(self._probation)
        )
        self._published = aged
        return promoted

    def drop(self, numbers: frozenset[int]) -> None:
        """Forget snapshots; their arenas may be used again."""
        kept = tuple(snapshot for snapshot in self._published if snapshot.number not in numbers)
        gone = [snapshot.arena for snapshot in self._published if snapshot.number in numbers]
        self._published = kept
        self._release(*gone)

    def clear(self) -> None:
        """Forget everything: a new host begins."""
        self.drop(frozenset(snapshot.number for snapshot in self._published))

    def capsule(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything, for a checkpoint: tensors by "<number>/<name>", and JSON."""
        tensors = {f"{snapshot.number}/{name}": view for snapshot in self._published for name, view in snapshot.tensors.items()}
        heads = [
            {"number": s.number, "step": s.step, "reason": s.reason, "digest": s.digest, "facts": s.facts, "healthy_steps": s.healthy_steps}
            for s in self._published
        ]
        return tensors, {"taken": self._taken, "published": heads}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Back to what a checkpoint recorded."""
        published = []
        for head in facts["published"]:
            prefix = f"{head['number']}/"
            mine = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            device = next(iter(mine.values())).device if mine else torch.device("cpu")
            arena = Arena.allocate(layout_of(mine), device)
            for name, tensor in mine.items():
                arena.views[name].copy_(tensor)
            published.append(Snapshot(arena=arena, **head))
        self._taken = facts["taken"]
        self._published = tuple(published)

    def _oldest_spendable(self) -> Snapshot | None:
        trusted = self.trusted()
        return trusted[-1] if len(trusted) > 1 else None

    def _publish(self, snapshot: Snapshot) -> None:
        kept = self._published
        if len(kept) < self._kept:
            self._published = (snapshot, *kept)
            return
        # Without a spendable one, the youngest candidate gives way; the newest trusted snapshot never does.
        spent = self._oldest_spendable() or kept[0]
        self._published = (snapshot, *(other for other in kept if other is not spent))
        self._release(spent.arena)

    def _release(self, *arenas: Arena) -> None:
        # One is enough in a steady state; the second bridges a topology that changes back.
        self._spare = [*self._spare, *arenas][-2:]

    def _arena_for(self, layout: dict[str, Spec], tensors: Mapping[str, torch.Tensor]) -> Arena:
        device = next(iter(tensors.values())).device if tensors else torch.device("cpu")
        for index, arena in enumerate(self._spare):
            if arena.layout == layout and all(flat.device == device for flat in arena.flats.values()):
                return self._spare.pop(index)
        return Arena.allocate(layout, device)
