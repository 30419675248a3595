"""The rollback: restoring a snapshot as one transaction.

    choose     the newest trusted snapshot; after a relapse the next older one
    validate   digest, then names, shapes and dtypes against the topology to come; nothing has been written yet
    rebuild    topology as the snapshot recorded it; experimental seeds are pruned, unless they are to be restored
    copy       every tensor of the host, byte for byte
    settle     optimizers by policy, counters and baselines
    owe        the death penalty

Nothing is told before all of it has happened: whoever listens may fail, and the host is restored all the same.

Every part may be repeated, so a failure anywhere is answered by running the whole of it again, and then by the next
older snapshot. When none is left: `RollbackFailed`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tolaria.errors import RollbackFailed, TolariaError
from tolaria.governor.arena import Bound
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governed import Governed, PlanT, Spec
from tolaria.governor.snapshots import OPTIMIZER, NotFinite, Snapshot, SnapshotRing, wait_for_device
from tolaria.governor.stopwatch import Stopwatch
from tolaria.seams import NO_TAPS, PENALTY_OWED, ROLLBACK_COPYING, Seam, Taps, is_heard
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Work
from tolaria.telemetry.growth_events import SlotRestored

# The same snapshot is tried so often before an older one is taken.
ATTEMPTS = 2

# What the governor itself records with a snapshot, for a rollback that rewinds.
JURY = "jury"


class LayoutMismatch(TolariaError):
    """A snapshot does not fit the host; nothing was written."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished rollback. `newest`: it restored the newest trusted snapshot.

    `leaned`: a seed that was blended into the host is gone; `moves`: what is to be told of slots.
    """

    snapshot: Snapshot
    newest: bool
    pruned: tuple[str, ...]
    moves: tuple[Event, ...]
    leaned: bool
    work: Work
    penalty: float


@dataclass(slots=True)
class Changed:
    """What all attempts together did, and took: a later one no longer sees what an earlier one has pruned."""

    watch: Stopwatch = field(default_factory=Stopwatch)
    pruned: dict[str, None] = field(default_factory=dict)
    moves: list[Event] = field(default_factory=list)
    leaned: bool = False

    def count_pruned(self, pruned: Iterable[str], restored: Iterable[str]) -> None:
        """By one more attempt. What an earlier one pruned, and this one brought back to what was recorded, was not pruned in the end."""
        for slot in restored:
            self.pruned.pop(slot, None)
        self.pruned.update(dict.fromkeys(pruned))


def roll_back(ring: SnapshotRing, governed: Governed[PlanT], at: Point, relapsed: bool, config: GovernorConfig, taps: Taps) -> Done:
    """Restore the host, and drop every snapshot of the future that is no more. Raises `RollbackFailed`."""
    changed = Changed()
    failures: list[str] = []
    for snapshot in _candidates(ring, relapsed):
        for attempt in range(1, ATTEMPTS + 1):
            try:
                penalty = _restore(snapshot, governed, ring.bound, at, config, taps, changed)
            except Exception as error:  # noqa: BLE001 - a rollback must outlive whatever struck it; see the module's theory
                failures.append(f"snapshot {snapshot.number}, attempt {attempt}: {type(error).__name__}: {error}")
                continue
            newer = frozenset(other.number for other in ring.published if other.number > snapshot.number)
            newest = snapshot is ring.trusted()[0]
            ring.drop(newer)
            work = Work(len(failures) + 1, snapshot.bytes, changed.watch.stop())
            return Done(snapshot, newest, tuple(changed.pruned), tuple(changed.moves), changed.leaned, work, penalty)
    raise RollbackFailed(f"step {at.step}, environment {at.env}: no snapshot could be restored; {'; '.join(failures)}")


def check_layout(saved: Mapping[str, Spec], expected: Mapping[str, Spec]) -> None:
    """Raise `LayoutMismatch` unless names, shapes and dtypes are the same."""
    missing = sorted(expected.keys() - saved.keys())
    surplus = sorted(saved.keys() - expected.keys())
    changed = sorted(name for name in saved.keys() & expected.keys() if saved[name] != expected[name])
    if missing or surplus or changed:
        raise LayoutMismatch(f"missing {missing[:3]}, surplus {surplus[:3]}, changed {changed[:3]}")


def check_optimizer(saved: Mapping[str, Spec], expected: Mapping[str, Spec]) -> None:
    """Raise `LayoutMismatch` unless all optimizer state belongs to a tensor of the host, and is like it or a single number."""
    for name, (shape, _) in saved.items():
        owner = expected.get(name.removeprefix(OPTIMIZER).rpartition("/")[0])
        if owner is None or shape not in ((), owner[0]):
            raise LayoutMismatch(f"optimizer state {name} {shape} belongs to nothing")


def check_fit(snapshot: Snapshot, governed: Governed[PlanT]) -> PlanT:
    """The topology that a rollback to this snapshot leads to; raises `LayoutMismatch` unless it is intact and fits. Changes nothing."""
    if not snapshot.is_intact():
        raise LayoutMismatch("its bytes are not those that were published")
    plan = governed.prepare(_facts_of_host(snapshot))
    layout = snapshot.arena.layout
    check_layout({name: spec for name, spec in layout.items() if not name.startswith(OPTIMIZER)}, plan.specs)
    check_optimizer({name: spec for name, spec in layout.items() if name.startswith(OPTIMIZER)}, plan.specs)
    return plan


def check_usable(snapshot: Snapshot, governed: Governed[PlanT]) -> None:
    """Raise `LayoutMismatch` or `NotFinite` unless a rollback to this snapshot, which comes from the disk, would be one to a good state."""
    check_fit(snapshot, governed)
    if spoiled := snapshot.arena.nonfinite():
        raise NotFinite(f"snapshot {snapshot.number} holds NaN or Inf in {', '.join(spoiled[:3])}")


def is_asked(config: GovernorConfig, taps: Taps, copying: Seam[int]) -> bool:
    """Whether somebody wants to be asked before each tensor that is copied.

    Then tensors are copied one by one, and on a device each is waited for. Copies that leave it later would be another thing
    altogether, so those are copied one by one only for whoever really listens at this seam.
    """
    return taps is not NO_TAPS and (config.digest == "always" or is_heard(copying, taps))


def _candidates(ring: SnapshotRing, relapsed: bool) -> tuple[Snapshot, ...]:
    trusted = ring.trusted()
    # A relapse soon after a rollback speaks against the snapshot that was restored then: it is the last resort.
    return (*trusted[1:], *trusted[:1]) if relapsed else trusted


def _restore(
    snapshot: Snapshot, governed: Governed[PlanT], known: Bound, at: Point, config: GovernorConfig, taps: Taps, changed: Changed
) -> float:
    changed.watch.begin("validate")
    plan = check_fit(snapshot, governed)
    saved = {name: tensor for name, tensor in snapshot.tensors.items() if not name.startswith(OPTIMIZER)}
    optimizer = {name: tensor for name, tensor in snapshot.tensors.items() if name.startswith(OPTIMIZER)}
    # Kernels of other streams may still write to the weights that are about to be restored.
    wait_for_device(governed.stable_tensors())
    changed.watch.begin("rebuild")
    changed.leaned = changed.leaned or plan.leaned
    moves = governed.commit(plan, at)
    changed.moves.extend(moves)
    changed.count_pruned(plan.pruned, [move.slot for move in moves if isinstance(move, SlotRestored)])
    live = governed.stable_tensors()
    changed.watch.begin("copy")

    def before_copy(index: int) -> object:
        return taps.pass_through(ROLLBACK_COPYING, at, index)

    # Where nobody listens all tensors are copied at once.
    snapshot.arena.copy_out(saved, live, before_copy if is_asked(config, taps, ROLLBACK_COPYING) else None, known)
    changed.watch.begin("settle")
    governed.restore_optimizers(optimizer, config.optimizer)
    governed.settle(_facts_of_host(snapshot))
    # Whoever trains on another stream than this one must find what was restored, and not write before it is.
    wait_for_device(live)
    return taps.pass_through(PENALTY_OWED, at, config.penalty)


def _facts_of_host(snapshot: Snapshot) -> dict[str, Any]:
    return {name: fact for name, fact in snapshot.facts.items() if name != JURY}
