"""Snapshots: complete, verified, published by one assignment, and never touched again until they are dropped.

Each snapshot owns an arena. A new one is copied into an arena that no published snapshot owns, is checked there, and only
then enters the ring. Whatever fails before that, at any copy, leaves every published snapshot as it was.

Checked means finite, and sealed with a digest over the raw bytes: at once, or at the latest when the snapshot becomes
trusted or leaves memory. A rollback uses trusted snapshots only and verifies the digest first.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from tolaria.errors import TolariaError
from tolaria.governor.arena import Arena, BeforeCopy, Bound, layout_of


class NotFinite(TolariaError):
    """A snapshot would have held NaN or Inf; it was not published."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A published state. `healthy_steps` counts the healthy steps since; `step` is when it was taken.

    `digest` is empty while it is not sealed.
    """

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
        """Whether its bytes are still those that were sealed."""
        return self.arena.digest(self.facts) == self.digest

    def sealed(self) -> "Snapshot":
        """With a digest; itself where it has one already."""
        return self if self.digest else replace(self, digest=self.arena.digest(self.facts))


def wait_for_device(tensors: Mapping[str, torch.Tensor]) -> None:
    """Until kernels of other streams, too, have written what they write: a copy would be torn, a restored weight overwritten."""
    _synchronize(frozenset(tensor.device for tensor in tensors.values() if tensor.is_cuda))


def _synchronize(devices: frozenset[torch.device]) -> None:
    for device in devices:
        torch.cuda.synchronize(device)


class SnapshotRing:
    """The published snapshots of one host, newest first. `digest`: "always" seals at the take, "offload" as late as may be."""

    def __init__(self, kept: int, probation: int, digest: str = "always") -> None:
        self._kept = kept
        self._probation = probation
        self._seals_at_once = digest == "always"
        self._bound = Bound.to({})
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
        before_copy: BeforeCopy | None,
        before_verify: Callable[[int], object],
    ) -> Snapshot:
        """Copy, verify, publish. Raises `NotFinite`, `LayoutChanged`, or whatever a copy raised; published snapshots are untouched then.

        `before_copy` is asked before each tensor; None copies all of them at once.
        """
        self._bound = bound = self._bound.renewed(tensors)
        arena = self._arena_for(bound)
        try:
            _synchronize(bound.cuda_devices)
            arena.copy_in(bound, before_copy)
            before_verify(0)
            spoiled = arena.nonfinite()
            if spoiled:
                raise NotFinite(f"not finite: {', '.join(spoiled[:5])}")
            snapshot = Snapshot(self._taken, step, reason, "", json.loads(json.dumps(facts)), arena)
            if self._seals_at_once or snapshot.is_trusted(self._probation):
                snapshot = snapshot.sealed()
        except BaseException:
            self._release(arena)
            raise
        self._taken += 1
        self._publish(snapshot)
        return snapshot

    def age(self) -> tuple[int, ...]:
        """One more healthy step; returns the numbers of the snapshots that became trusted by it."""
        older = (replace(snapshot, healthy_steps=snapshot.healthy_steps + 1) for snapshot in self._published)
        aged = tuple(snapshot.sealed() if snapshot.is_trusted(self._probation) else snapshot for snapshot in older)
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

    def withdraw(self, flagged: int) -> tuple[int, ...]:
        """Drop the candidates that were taken in or after this step; returns their numbers. What is trusted stays."""
        numbers = tuple(s.number for s in self._published if s.step >= flagged and not s.is_trusted(self._probation))
        self.drop(frozenset(numbers))
        return numbers

    def clear(self) -> None:
        """Forget everything: a new host begins."""
        self._bound = Bound.to({})
        self.drop(frozenset(snapshot.number for snapshot in self._published))

    def capsule(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything, for a checkpoint: tensors by "<number>/<name>", and JSON. What leaves memory is sealed."""
        self._published = tuple(snapshot.sealed() for snapshot in self._published)
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

    def _arena_for(self, bound: Bound) -> Arena:
        for index, arena in enumerate(self._spare):
            if arena.fits(bound):
                return self._spare.pop(index)
        return Arena.allocate(bound.layout, bound.device)
