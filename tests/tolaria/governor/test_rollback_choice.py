"""Which snapshot is restored and what follows from it, on a host of one number that fails where a test wants it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from tolaria.errors import RollbackFailed
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governed import Spec
from tolaria.governor.governor import Governor
from tolaria.governor.rollback import Done, roll_back
from tolaria.governor.snapshots import SnapshotRing
from tolaria.seams import NO_TAPS
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import RolledBack
from tolaria.vitals import Vitals

AT = Point(9, 4)


@dataclass(frozen=True, slots=True)
class Plan:
    """A topology; the number of the snapshot it was planned from stands in for its seeds."""

    specs: Mapping[str, Spec]
    pruned: tuple[str, ...]
    leaned: bool


class Single:
    """A host of one number. `failures` says how often each value may be prepared in vain, `late` how often it fails after the commit."""

    def __init__(self) -> None:
        self.number = torch.zeros(())
        self.failures = Counter[int]()
        self.late = Counter[int]()
        self.tried: list[int] = []
        self.seeds: tuple[str, ...] = ()
        self.error: type[BaseException] = ValueError

    def stable_tensors(self) -> dict[str, torch.Tensor]:
        return {"host/number": self.number}

    def facts(self) -> dict[str, Any]:
        return {"value": int(self.number)}

    def prepare(self, facts: dict[str, Any]) -> Plan:
        self.tried.append(facts["value"])
        self._fail(self.failures, facts)
        return Plan({"host/number": ((), torch.float32)}, self.seeds, bool(self.seeds))

    def commit(self, plan: Plan, at: Point) -> tuple[Event, ...]:
        pruned, self.seeds = self.seeds, ()
        return tuple(Event(Point(at.step, number)) for number, _ in enumerate(pruned))

    def restore_optimizers(self, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        assert saved == {}

    def settle(self, facts: dict[str, Any]) -> None:
        self._fail(self.late, facts)

    def _fail(self, times: Counter[int], facts: dict[str, Any]) -> None:
        if times[facts["value"]] > 0:
            times[facts["value"]] -= 1
            raise self.error("broken")


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
    governed: Any = host
    return roll_back(ring, governed, AT, relapsed, GovernorConfig(penalty=-3.0), NO_TAPS)


def numbers(ring: SnapshotRing) -> list[int]:
    return [snapshot.number for snapshot in ring.published]


def test_the_newest_trusted_snapshot_is_restored_and_younger_ones_are_dropped() -> None:
    host = Single()
    ring = filled(host, candidates=2)
    done = restore(ring, host)
    assert (host.tried, host.number.item(), done.snapshot.number, done.penalty) == ([2], 2.0, 2, -3.0)
    assert numbers(ring) == [2, 1, 0]


def test_after_a_relapse_the_newest_trusted_snapshot_is_the_last_resort() -> None:
    host = Single()
    ring = filled(host)
    assert restore(ring, host, relapsed=True).snapshot.number == 1
    assert numbers(ring) == [1, 0]
    host.tried.clear()
    host.failures.update({0: 9, 1: 9})
    assert restore(filled(host), host, relapsed=True).snapshot.number == 2
    assert host.tried == [1, 1, 0, 0, 2]


def test_a_snapshot_is_tried_twice_and_then_the_next_older_one() -> None:
    host = Single()
    host.failures.update({2: 1})
    assert restore(filled(host), host).snapshot.number == 2
    assert host.tried == [2, 2]
    host = Single()
    host.failures.update({2: 2})
    ring = filled(host)
    assert restore(ring, host).snapshot.number == 1
    assert (host.tried, host.number.item(), numbers(ring)) == ([2, 2, 1], 1.0, [1, 0])


def test_a_snapshot_on_probation_is_not_restored_even_when_nothing_else_is_left() -> None:
    host = Single()
    host.failures.update({0: 9, 1: 9, 2: 9})
    ring = filled(host, candidates=1)
    with pytest.raises(RollbackFailed):
        restore(ring, host)
    assert (host.tried, numbers(ring)) == ([2, 2, 1, 1, 0, 0], [3, 2, 1, 0])


def test_a_rollback_that_failed_tells_of_every_attempt() -> None:
    host = Single()
    host.failures.update({0: 9})
    ring = SnapshotRing(2, 1)
    ring.take(host.stable_tensors(), host.facts(), 0, "begin", None, bool)
    with pytest.raises(RollbackFailed) as failed:
        restore(ring, host)
    attempts = "snapshot 0, attempt 1: ValueError: broken; snapshot 0, attempt 2: ValueError: broken"
    assert str(failed.value) == f"step 9, environment 4: no snapshot could be restored; {attempts}"


def test_what_a_failed_attempt_did_to_the_topology_is_told_with_the_one_that_succeeded() -> None:
    host = Single()
    host.seeds = ("s0", "s1")
    host.late.update({2: 1})
    done = restore(filled(host), host)
    assert (done.pruned, done.leaned) == (("s0", "s1"), True)
    assert done.moves == (Event(Point(9, 0)), Event(Point(9, 1)))


def test_an_interrupt_is_no_failure_of_a_snapshot() -> None:
    host = Single()
    host.error = KeyboardInterrupt
    host.failures.update({2: 1})
    with pytest.raises(KeyboardInterrupt):
        restore(filled(host), host)
    assert host.tried == [2]


# What follows from when it happens.


class Story:
    """A governor that is told of good and of lost steps; `restored` are the steps whose snapshots came back."""

    def __init__(self, **settings: Any) -> None:
        self.events: list[Event] = []
        self.host: Any = Single()
        self.governor = Governor(GovernorConfig(**settings), 1.0, 1.5, NO_TAPS, self.events.append)
        self.governor.begin(self.host, Point(0, 0))

    def tell(self, step: int, good: bool) -> bool:
        """One step; the answer is whether the environment is retired."""
        vitals = Vitals(step, 0.1, 0.1, 0.9, None, () if good else ("buffers",))
        return self.governor.enforce(self.governor.judge(vitals), vitals, self.host, Point(step, 0), False).retired

    @property
    def restored(self) -> list[int]:
        return [event.snapshot_step for event in self.events if isinstance(event, RolledBack)]


@pytest.mark.parametrize(("second", "restored"), [(24, [10, 5]), (25, [10, 5]), (26, [10, 10])])
def test_a_collapse_within_five_steps_of_a_rollback_is_a_relapse(second: int, restored: list[int]) -> None:
    story = Story(probation=0, relapse_steps=5)
    for step, good in ((5, True), (10, True), (20, False), (second, False)):
        story.tell(step, good)
    assert story.restored == restored


@pytest.mark.parametrize(("steps", "retired"), [((10, 14), True), ((10, 15), False), ((10, 15, 19), True), ((10, 15, 20), False)])
def test_rollbacks_count_against_the_budget_for_as_many_steps_as_the_window_has(steps: tuple[int, ...], retired: bool) -> None:
    story = Story(budget=2, budget_window=5)
    assert [story.tell(step, good=False) for step in steps][-1] == retired


@pytest.mark.parametrize(("step", "taken"), [(4, 1), (5, 2), (6, 2)])
def test_a_snapshot_is_due_five_steps_after_the_newest(step: int, taken: int) -> None:
    story = Story(snapshot_every=5)
    story.tell(step, good=True)
    assert len(story.governor.snapshots.published) == taken
