"""Which snapshot is restored and what follows from it, on a host of one number that fails where a test wants it."""

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tolaria.errors import RollbackFailed
from tolaria.governor.arena import Arena
from tolaria.governor.config import GovernorConfig
from tolaria.governor.rollback import Done, LayoutMismatch, check_layout, check_optimizer, check_usable, is_asked, roll_back
from tolaria.governor.snapshots import NotFinite, Snapshot, SnapshotRing
from tolaria.lifecycle.stage import Stage
from tolaria.seams import NO_TAPS, ROLLBACK_COPYING, SNAPSHOT_COPYING, Seam, T, Taps
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.growth_events import SlotRestored

# `Single` and `Story` of the conftest.
Single = Any
NewSingle = Callable[[], Any]
NewStory = Callable[..., Any]

AT = Point(9, 4)


def filled(host: Single, candidates: int = 0) -> SnapshotRing:
    """Snapshots of 0, 1 and 2, all trusted, and then some that are not."""
    ring = SnapshotRing(6, 1)
    for value in range(3 + candidates):
        if value == 3:
            ring.age()
        host.number.fill_(value)
        ring.take(host.stable_tensors(), host.facts(), value, "begin" if value == 0 else "cadence", None, bool)
    if not candidates:
        ring.age()
    host.number.fill_(-1.0)
    return ring


def restore(ring: SnapshotRing, host: Single, relapsed: bool = False) -> Done:
    return roll_back(ring, host, AT, relapsed, GovernorConfig(penalty=-3.0), NO_TAPS)


def numbers(ring: SnapshotRing) -> list[int]:
    return [snapshot.number for snapshot in ring.published]


def test_the_newest_trusted_snapshot_is_restored_and_younger_ones_are_dropped(new_single: NewSingle) -> None:
    host = new_single()
    ring = filled(host, candidates=2)
    done = restore(ring, host)
    assert (host.tried, host.number.item(), done.snapshot.number, done.penalty) == ([2], 2.0, 2, -3.0)
    assert numbers(ring) == [2, 1, 0]


def test_after_a_relapse_the_newest_trusted_snapshot_is_the_last_resort(new_single: NewSingle) -> None:
    host = new_single()
    ring = filled(host)
    assert restore(ring, host, relapsed=True).snapshot.number == 1
    assert numbers(ring) == [1, 0]
    host.tried.clear()
    host.failures.update({0: 9, 1: 9})
    assert restore(filled(host), host, relapsed=True).snapshot.number == 2
    assert host.tried == [1, 1, 0, 0, 2]


def test_after_a_relapse_too_every_trusted_snapshot_is_tried_twice_and_no_more(new_single: NewSingle) -> None:
    host = new_single()
    host.failures.update({0: 9, 1: 9, 2: 9})
    with pytest.raises(RollbackFailed):
        restore(filled(host), host, relapsed=True)
    assert host.tried == [1, 1, 0, 0, 2, 2]


def test_the_device_is_waited_for_before_the_first_write_and_after_the_last(new_single: NewSingle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, because of kernels of other streams that still write; after, because of those that will read."""
    host, told, copy_out, settle = new_single(), list[str](), Arena.copy_out, type(new_single()).settle

    def watched(arena: Arena, *call: Any) -> None:
        told.append("written")
        copy_out(arena, *call)

    def settled(self: Any, facts: dict[str, Any]) -> None:
        told.append("settled")
        settle(self, facts)

    monkeypatch.setattr(Arena, "copy_out", watched)
    monkeypatch.setattr(type(host), "settle", settled)
    ring = filled(host)
    monkeypatch.setattr("tolaria.governor.rollback.wait_for_device", lambda tensors: told.append(f"waited for {', '.join(tensors)}"))
    restore(ring, host)
    assert told == ["waited for host/number", "written", "settled", "waited for host/number"]


class Listening:
    """Taps that listen at every seam of a list, or do not say where."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        return value


class Choosy(Listening):
    def __init__(self, *seams: Seam[Any]) -> None:
        self.seams = seams

    def hears(self, seam: Seam[Any]) -> bool:
        return seam in self.seams


@pytest.mark.parametrize(
    ("digest", "taps", "asked"),
    [
        ("always", NO_TAPS, False),
        ("offload", NO_TAPS, False),
        ("always", Listening(), True),
        ("offload", Listening(), True),
        ("always", Choosy(), True),
        ("offload", Choosy(), False),
        ("offload", Choosy(SNAPSHOT_COPYING), False),
        ("offload", Choosy(ROLLBACK_COPYING), True),
    ],
)
def test_copies_that_need_not_be_waited_for_are_single_only_for_whoever_listens_there(digest: str, taps: Taps, asked: bool) -> None:
    assert is_asked(GovernorConfig(digest=digest), taps, ROLLBACK_COPYING) is asked


@pytest.mark.parametrize(("taps", "at_once"), [(NO_TAPS, True), (Choosy(SNAPSHOT_COPYING), True), (Choosy(ROLLBACK_COPYING), False)])
def test_all_tensors_are_copied_back_at_once_where_nobody_listens(
    new_single: NewSingle, monkeypatch: pytest.MonkeyPatch, taps: Taps, at_once: bool
) -> None:
    host, asked, copy_out = new_single(), [], Arena.copy_out
    ring = filled(host)

    def watched(arena: Arena, names: Any, live: Any, before_copy: Any, known: Any) -> None:
        asked.append((before_copy is None, known is ring.bound))
        copy_out(arena, names, live, before_copy, known)

    monkeypatch.setattr(Arena, "copy_out", watched)
    roll_back(ring, host, AT, False, GovernorConfig(digest="offload"), taps)
    assert asked == [(at_once, True)]


def test_a_snapshot_is_tried_twice_and_then_the_next_older_one(new_single: NewSingle) -> None:
    host = new_single()
    host.failures.update({2: 1})
    assert restore(filled(host), host).snapshot.number == 2
    assert host.tried == [2, 2]
    host = new_single()
    host.failures.update({2: 2})
    ring = filled(host)
    assert restore(ring, host).snapshot.number == 1
    assert (host.tried, host.number.item(), numbers(ring)) == ([2, 2, 1], 1.0, [1, 0])


def test_a_snapshot_on_probation_is_not_restored_even_when_nothing_else_is_left(new_single: NewSingle) -> None:
    host = new_single()
    host.failures.update({0: 9, 1: 9, 2: 9})
    ring = filled(host, candidates=1)
    with pytest.raises(RollbackFailed):
        restore(ring, host)
    assert (host.tried, numbers(ring)) == ([2, 2, 1, 1, 0, 0], [3, 2, 1, 0])


def test_a_rollback_that_failed_tells_of_every_attempt(new_single: NewSingle) -> None:
    host = new_single()
    host.failures.update({0: 9})
    ring = SnapshotRing(2, 1)
    ring.take(host.stable_tensors(), host.facts(), 0, "begin", None, bool)
    with pytest.raises(RollbackFailed) as failed:
        restore(ring, host)
    attempts = "snapshot 0, attempt 1: ValueError: broken; snapshot 0, attempt 2: ValueError: broken"
    assert str(failed.value) == f"step 9, environment 4: no snapshot could be restored; {attempts}"


def test_what_a_failed_attempt_did_to_the_topology_is_told_with_the_one_that_succeeded(new_single: NewSingle) -> None:
    host = new_single()
    host.seeds = ("s0", "s1")
    host.late.update({2: 1})
    done = restore(filled(host), host)
    assert (done.pruned, done.leaned) == (("s0", "s1"), True)
    assert done.moves == (Event(Point(9, 0)), Event(Point(9, 1)))


def test_what_one_attempt_pruned_and_a_later_one_brought_back_was_not_pruned_in_the_end(
    new_single: NewSingle, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, commit = new_single(), type(new_single()).commit
    back = tuple(SlotRestored(AT, slot, 1, Stage.PRUNED, Stage.FOSSILIZED) for slot in ("s0", "s7"))

    def bringing_back(plan: Any, at: Point) -> tuple[Event, ...]:
        moves = commit(host, plan, at)
        return (*moves, *back) if host.tried[-1] == 1 else moves

    monkeypatch.setattr(host, "commit", bringing_back)
    host.seeds = ("s0", "s1")
    host.late.update({2: 2})
    done = restore(filled(host), host)
    assert (done.snapshot.number, done.pruned) == (1, ("s1",))
    assert done.moves == (Event(Point(9, 0)), Event(Point(9, 1)), *back)


def test_an_interrupt_is_no_failure_of_a_snapshot(new_single: NewSingle) -> None:
    host = new_single()
    host.error = KeyboardInterrupt
    host.failures.update({2: 1})
    with pytest.raises(KeyboardInterrupt):
        restore(filled(host), host)
    assert host.tried == [2]


def test_a_rollback_says_how_long_each_of_its_parts_took(new_single: NewSingle) -> None:
    host = new_single()
    took = restore(filled(host), host).work.durations
    assert took is not None
    assert all(seconds > 0.0 for seconds in (took.choose, took.validate, took.rebuild, took.copy, took.settle))


# What may be restored at all.


def test_at_most_three_of_each_kind_of_difference_are_named() -> None:
    one, other = ((2,), torch.float32), ((3,), torch.float32)
    saved = dict.fromkeys("abcd", one) | dict.fromkeys("mnop", one)
    expected = dict.fromkeys("abcd", other) | dict.fromkeys("wxyz", other)
    with pytest.raises(LayoutMismatch) as refused:
        check_layout(saved, expected)
    assert str(refused.value) == "missing ['w', 'x', 'y'], surplus ['m', 'n', 'o'], changed ['a', 'b', 'c']"


def test_optimizer_state_that_belongs_to_nothing_is_named_with_its_shape() -> None:
    with pytest.raises(LayoutMismatch) as refused:
        check_optimizer({"optimizer/host/v/exp_avg": ((3, 2), torch.float32)}, {"host/w": ((3, 2), torch.float32)})
    assert str(refused.value) == "optimizer state optimizer/host/v/exp_avg (3, 2) belongs to nothing"


def read(host: Single, **values: float) -> Snapshot:
    """As it comes from the disk: sealed, whatever it holds."""
    ring = SnapshotRing(2, 0)
    snapshot = ring.take({f"host/{name}": torch.zeros(()) for name in values}, host.facts(), 0, "begin", None, bool)
    for name, value in values.items():
        snapshot.tensors[f"host/{name}"].fill_(value)
    return replace(snapshot, digest=snapshot.arena.digest(snapshot.facts))


def test_a_good_snapshot_from_the_disk_is_usable_and_nothing_is_changed_by_asking(new_single: NewSingle) -> None:
    host = new_single()
    check_usable(read(host, number=2.0), host)
    assert (host.number.item(), host.tried) == (0.0, [0])


def test_a_snapshot_from_the_disk_that_is_damaged_or_of_another_host_is_not_usable(new_single: NewSingle) -> None:
    host = new_single()
    with pytest.raises(LayoutMismatch) as damaged:
        check_usable(replace(read(host, number=2.0), digest="0"), host)
    assert str(damaged.value) == "its bytes are not those that were published"
    with pytest.raises(LayoutMismatch, match=r"missing \['host/number'\], surplus \['host/weight'\]"):
        check_usable(read(host, weight=2.0), host)


def test_a_snapshot_from_the_disk_that_is_not_finite_is_not_usable_and_three_places_are_named(
    new_single: NewSingle, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = new_single()
    specs = {f"host/{name}": ((), torch.float32) for name in "abcde"}
    monkeypatch.setattr(host, "prepare", lambda _: SimpleNamespace(specs=specs, pruned=(), leaned=False))
    with pytest.raises(NotFinite) as refused:
        check_usable(read(host, a=math.nan, b=1.0, c=math.inf, d=-math.inf, e=math.nan), host)
    assert str(refused.value) == "snapshot 0 holds NaN or Inf in host/a, host/c, host/d"


# What follows from when it happens.


@pytest.mark.parametrize(("second", "restored"), [(24, [10, 5]), (25, [10, 5]), (26, [10, 10])])
def test_a_collapse_within_five_steps_of_a_rollback_is_a_relapse(new_story: NewStory, second: int, restored: list[int]) -> None:
    story = new_story(probation=0, relapse_steps=5)
    for step, good in ((5, True), (10, True), (20, False), (second, False)):
        story.tell(step, good)
    assert story.restored == restored


@pytest.mark.parametrize(("steps", "retired"), [((10, 14), True), ((10, 15), False), ((10, 15, 19), True), ((10, 15, 20), False)])
def test_rollbacks_count_against_the_budget_for_as_many_steps_as_the_window_has(
    new_story: NewStory, steps: tuple[int, ...], retired: bool
) -> None:
    story = new_story(budget=2, budget_window=5)
    assert [story.tell(step, good=False).retired for step in steps][-1] == retired


@pytest.mark.parametrize(("step", "taken"), [(4, 1), (5, 2), (6, 2)])
def test_a_snapshot_is_due_five_steps_after_the_newest(new_story: NewStory, step: int, taken: int) -> None:
    story = new_story(snapshot_every=5)
    story.tell(step, good=True)
    assert len(story.governor.snapshots.published) == taken
