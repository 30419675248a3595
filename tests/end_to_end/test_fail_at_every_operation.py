"""Every operation of torch and every part of a snapshot and of a rollback is made to raise, once and for good.

One host lives through all of it: after each failure it must hold its newest trusted snapshot again, byte for byte.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from firedrill.subjects.growth import lasting_tensors_of, raw_bytes
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.errors import RollbackFailed
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.governor.verdict import Alarm, Standing, Verdict
from tolaria.lifecycle.stage import Stage
from tolaria.seams import NO_TAPS, Seam, T, Taps
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event, Point
from tolaria.vitals import Vitals

Bytes = dict[str, bytes]
NewFailing = Callable[[int, bool], Any]
Strike = Callable[[str, Any], contextlib.AbstractContextManager[None]]


def lasting(host: CapsuleHost) -> Bytes:
    return {name: raw_bytes(tensor) for name, tensor in lasting_tensors_of(host, "prune").items()}


class Listening:
    """Taps that do nothing, because of which tensors are copied one by one."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        return value


class Survivor:
    """A host with a fossil in s0, and its governor, which may roll it back as often as it must."""

    def __init__(self, taps: Taps) -> None:
        task = TASKS["spirals"]()
        self.events: list[Event] = []
        self.config = GovernorConfig(snapshot_every=1, probation=0, optimizer="restore", budget=10**6, relapse_steps=0)
        training = TrainingConfig(batches_per_step=1, optimizer="adam")
        self.host = CapsuleHost(task, training, 0, torch.device("cpu"), taps, self.events.append)
        self.host.loss_before = 1.0
        self.governor = Governor(self.config, task.chance_loss, task.explosion_loss, taps, self.events.append)
        self.step = 0
        self.copies: dict[int, Bytes] = {}
        self.host.train(self.at)
        self.grow("s0")
        self.host.host.slot("s0").state = self.host.state("s0").advanced()
        self.host.fossilize("s0", self.at, "test", "policy")
        self.governor.begin(self.host, self.at)
        self.remember()

    @property
    def at(self) -> Point:
        return Point(self.step, 0)

    def grow(self, slot: str) -> None:
        """A seed that is blended into the host, trained a little."""
        place = self.host.host.slot(slot)
        while place.state.stage is not Stage.DORMANT:
            place.state = place.state.ticked()
        self.host.host.germinate(slot, "residual_mlp", seed=7, steps=1)
        for _ in range(2):
            place.state = place.state.advanced()
        place.state = place.state.ticked()
        self.host.renew_optimizers()
        self.host.train(self.at)

    def remember(self) -> None:
        newest = self.governor.snapshots.published[0].number
        self.copies.setdefault(newest, lasting(self.host))

    def live(self) -> None:
        """A healthy step, after which a snapshot is due."""
        self.host.train(self.at)
        self.step += 1
        self.governor.enforce(Verdict.healthy(), Vitals(self.step, 0.3, 0.3, 0.5, 1.0), self.host, self.at, fossilized=False)

    def lose(self) -> None:
        """NaN in a weight."""
        with torch.no_grad():
            next(iter(self.host.host.own_parameters().values())).fill_(float("nan"))
        self.step += 1

    def recover(self) -> None:
        """Rolled back."""
        vitals = Vitals(self.step, float("nan"), float("nan"), 0.5, 1.0, ("parameters",))
        verdict = Verdict(Standing.COLLAPSED, Alarm("non_finite", 1, None, None, "struck"), 1)
        self.governor.enforce(verdict, vitals, self.host, self.at, fossilized=False)

    def assert_held(self) -> None:
        """The host is its newest trusted snapshot, which is as it was when it was taken."""
        ring = self.governor.snapshots
        for snapshot in ring.published:
            assert {name: raw_bytes(tensor) for name, tensor in snapshot.tensors.items()} == self.copies[snapshot.number]
        assert lasting(self.host) == self.copies[ring.trusted()[0].number]


@pytest.mark.parametrize("persists", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("taps", [NO_TAPS, Listening()], ids=["at once", "one by one"])
def test_a_failure_at_any_operation_of_torch_while_a_snapshot_is_taken_loses_nothing(
    taps: Taps, persists: bool, new_failing: NewFailing, struck: Strike
) -> None:
    survivor = Survivor(taps)
    number = refused = 0
    while True:
        failing = new_failing(number, persists)
        survivor.host.train(survivor.at)
        survivor.step += 1
        known = survivor.governor.snapshots.published
        with struck("torch", failing):
            survivor.governor._take(survivor.host, survivor.at, "cadence")
        survivor.remember()
        refused += survivor.governor.snapshots.published == known
        done = failing.count <= number
        survivor.lose()
        survivor.recover()
        survivor.assert_held()
        if done:
            break
        number += 1
    assert refused == number >= 3


@pytest.mark.parametrize("persists", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("what", ["torch", "parts"])
@pytest.mark.parametrize("taps", [NO_TAPS, Listening()], ids=["at once", "one by one"])
def test_a_failure_at_any_operation_of_a_rollback_loses_nothing(
    taps: Taps, what: str, persists: bool, new_failing: NewFailing, struck: Strike
) -> None:
    survivor = Survivor(taps)
    survivor.live()
    survivor.remember()
    number = stopped = 0
    while True:
        survivor.grow("s1")
        failing = new_failing(number, persists)
        survivor.lose()
        try:
            with struck(what, failing):
                survivor.recover()
        except RollbackFailed:
            stopped += 1
            # Nothing fails any more.
            survivor.recover()
        done = failing.count <= number
        survivor.assert_held()
        if done:
            break
        number += 1
    assert number >= 8
    # What comes after the restore, the probe and the ease, may fail for good: the host is restored all the same.
    assert 8 <= stopped <= number if persists else stopped == 0
