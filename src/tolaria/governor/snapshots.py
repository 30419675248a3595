"""Snapshots: complete, verified, published by one assignment, and never touched again until they are dropped.

Each snapshot owns an arena. A new one is copied into an arena that no published snapshot owns, is checked there, and only
then enters the ring. Whatever fails before that, at any copy, leaves every published snapshot as it was.

Checked means finite, and sealed with a digest over the raw bytes: at once, or at the latest when the snapshot becomes
trusted or leaves memory. A rollback uses trusted snapshots only and verifies the digest first.

On a CUDA device, a snapshot that need not be sealed at once is only begun by the take: it is published as a candidate, its
bytes go to pinned memory while training goes on, and it is checked in a later step, when they have arrived. It is not
trusted before that.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import torch

from tolaria.errors import TolariaError
from tolaria.governor.arena import CPU, Arena, BeforeCopy, Bound
from tolaria.governor.memory_policy import Placement, pinned_size, placement
from tolaria.governor.offload import Offload, Pending
from tolaria.governor.pages import SharedPages
from tolaria.governor.segments import layout_of, segment_of

# Names of optimizer state begin with it. It is rebuilt under its own policy and is no part of the byte-exact copy.
OPTIMIZER = "optimizer/"


class NotFinite(TolariaError):
    """A snapshot would have held NaN or Inf; it was not published."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A published state. `healthy_steps` counts the healthy steps since; `step` is when it was taken.

    `digest` is empty while it is not sealed; `pending` is its way to the host, while it is on it.
    """

    number: int
    step: int
    reason: str
    digest: str
    facts: dict[str, Any]
    arena: Arena = field(repr=False)
    healthy_steps: int = 0
    pending: Pending | None = field(default=None, repr=False)

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Views into the arena, by stable name; to be read only."""
        return self.arena.views

    @property
    def bytes(self) -> int:
        """Size of the tensors."""
        return sum(view.numel() * view.element_size() for view in self.arena.views.values())

    def is_trusted(self, probation: int) -> bool:
        """The first snapshot of a life is trusted at once, any other after its probation; none before it has arrived."""
        return self.pending is None and (self.reason == "begin" or self.healthy_steps >= probation)

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
        self._shared: SharedPages | None = None
        self._offload: Offload | None = None
        self._placement: Placement | None = None
        self._refused: tuple[str, ...] = ()
        self._taken = 0

    @property
    def published(self) -> tuple[Snapshot, ...]:
        """Every snapshot that a rollback could use, newest first."""
        return self._published

    @property
    def bound(self) -> Bound:
        """The live tensors as the last take saw them."""
        return self._bound

    @property
    def placement(self) -> Placement | None:
        """Where copies of a state on a CUDA device are kept; None where takes wait for the device."""
        return self._placement.with_mirrors(self._offload.mirrors) if self._placement and self._offload else self._placement

    def refused(self) -> tuple[str, ...]:
        """Why snapshots that had been begun were dropped when they arrived; each reason is told once."""
        told, self._refused = self._refused, ()
        return told

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
        bound = self._bind(tensors)
        arena = self._arena_for(bound)
        pending: Pending | None = None
        try:
            if self._offload is not None and before_copy is None:
                pending = self._offload.take(bound, arena)
                before_verify(0)
            else:
                _copy_and_check(bound, arena, before_copy, before_verify)
            snapshot = Snapshot(self._taken, step, reason, "", json.loads(json.dumps(facts)), arena, pending=pending)
            if reason == "begin" and pending is not None:
                # Nothing could be rolled back to meanwhile.
                pending.wait()
                snapshot = _arrived(snapshot)
            if self._seals_at_once or snapshot.is_trusted(self._probation):
                snapshot = snapshot.sealed()
        except BaseException:
            if self._offload is not None:
                # Its arena is used again, and nothing may still be written to it then.
                _synchronize(bound.cuda_devices)
            self._release(arena)
            raise
        self._taken += 1
        self._publish(snapshot)
        return snapshot

    def age(self) -> tuple[int, ...]:
        """One more healthy step; returns the numbers of the snapshots that became trusted by it."""
        known = {snapshot.number for snapshot in self.trusted()}
        self._receive(waits=False)
        older = (replace(snapshot, healthy_steps=snapshot.healthy_steps + 1) for snapshot in self._published)
        aged = tuple(snapshot.sealed() if snapshot.is_trusted(self._probation) else snapshot for snapshot in older)
        self._published = aged
        return tuple(snapshot.number for snapshot in self.trusted() if snapshot.number not in known)

    def drop(self, numbers: frozenset[int]) -> None:
        """Forget snapshots; their arenas may be used again."""
        kept = tuple(snapshot for snapshot in self._published if snapshot.number not in numbers)
        gone = [snapshot for snapshot in self._published if snapshot.number in numbers]
        self._published = kept
        for snapshot in gone:
            self._retire(snapshot)

    def withdraw(self, flagged: int) -> tuple[int, ...]:
        """Drop the candidates that were taken in or after this step; returns their numbers. What is trusted stays."""
        numbers = tuple(s.number for s in self._published if s.step >= flagged and not s.is_trusted(self._probation))
        self.drop(frozenset(numbers))
        return numbers

    def clear(self) -> None:
        """Forget everything: a new host begins."""
        self._bound = Bound.to({})
        self._offload = self._placement = self._shared = None
        self.drop(frozenset(snapshot.number for snapshot in self._published))

    def capsule(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything, for a checkpoint: tensors by "<number>/<name>", and JSON. What leaves memory is sealed."""
        self._receive(waits=True)
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
        self._retire(spent)

    def _receive(self, waits: bool) -> None:
        """Check what has arrived since; what is not finite is dropped."""
        for snapshot in self._published:
            if snapshot.pending is None or not (waits or snapshot.pending.has_arrived()):
                continue
            snapshot.pending.wait()
            try:
                checked = _arrived(snapshot)
            except NotFinite as error:
                self._refused += (f"NotFinite: snapshot {snapshot.number}: {error}",)
                self.drop(frozenset({snapshot.number}))
            else:
                self._published = tuple(checked if other is snapshot else other for other in self._published)

    def _bind(self, tensors: Mapping[str, torch.Tensor]) -> Bound:
        if self._placement is Placement.PARAMETERS_ONLY:
            tensors = without_optimizer(tensors)
        known = self._bound
        self._bound = bound = known.renewed(tensors)
        if bound is known or self._seals_at_once or not bound.cuda_devices:
            return bound
        if self._offload is None or known.device != bound.device:
            self._placement = _placement(bound, self._kept + 1)
            self._offload = Offload(bound.device, self._placement.mirrors)
            if self._placement is Placement.PARAMETERS_ONLY:
                self._bound = bound = Bound.to(without_optimizer(tensors))
        return bound

    def _retire(self, snapshot: Snapshot) -> None:
        if snapshot.pending is not None:
            # As after a failure: its arena is used again.
            snapshot.pending.wait()
        self._release(snapshot.arena)

    def _release(self, arena: Arena) -> None:
        # One is enough in a steady state; the second bridges a topology that changes back.
        self._spare = [*self._spare, arena][-2:]

    def _arena_for(self, bound: Bound) -> Arena:
        device, pinned = (bound.device, False) if self._offload is None else (CPU, self._offload.pinned)
        self._spare = [arena for arena in self._spare if (arena.device, arena.pinned) == (device, pinned)]
        for index, arena in enumerate(self._spare):
            if arena.fits(bound):
                return self._spare.pop(index)
        # Of one that was planned for another topology, the segments that did not change serve on.
        kept = self._spare.pop(0).segments if self._spare else {}
        self._shared = self._shared or bound.shared_pages(self._kept + 1)
        return Arena.allocate(bound.layout, device, pinned, bound.in_host_memory if pinned else frozenset(), kept, self._shared)


def without_optimizer(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What is left where memory is short: a rollback begins optimizer state anew."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(OPTIMIZER)}


def _placement(bound: Bound, arenas: int) -> Placement:
    flats: Counter[tuple[str, torch.dtype]] = Counter()
    for name, tensor in zip(bound.names, bound.live, strict=True):
        flats[segment_of(name), tensor.dtype] += tensor.nbytes
    pinned = arenas * sum(map(pinned_size, flats.values()))
    free, total = torch.cuda.mem_get_info(bound.device)
    return placement(sum(flats.values()), pinned, free, total, psutil.virtual_memory().available)


def _copy_and_check(bound: Bound, arena: Arena, before_copy: BeforeCopy | None, before_verify: Callable[[int], object]) -> None:
    _synchronize(bound.cuda_devices)
    if before_copy is None:
        spoiled = arena.copy_in_checked(bound)
        before_verify(0)
    else:
        arena.copy_in(bound, before_copy)
        before_verify(0)
        spoiled = arena.nonfinite()
    _refuse(spoiled)


def _arrived(snapshot: Snapshot) -> Snapshot:
    """The same once it may be read; raises `NotFinite`."""
    assert snapshot.pending is not None
    if not snapshot.pending.is_finite():
        _refuse(snapshot.arena.nonfinite())
    return replace(snapshot, pending=None)


def _refuse(spoiled: tuple[str, ...]) -> None:
    if spoiled:
        raise NotFinite(f"not finite: {', '.join(spoiled[:5])}")
