"""No operation that fails costs the state: every single one of them is made to raise, once and for good, in real runs.

Afterwards the newest trusted snapshot is restored and compared, byte for byte, with a copy that was read off the live
modules when it was taken.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from firedrill.subjects.growth import lasting_tensors_of, raw_bytes
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.errors import RollbackFailed
from tolaria.governor.config import GovernorConfig
from tolaria.governor.rollback import roll_back
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.stage import Stage
from tolaria.seams import (
    NO_TAPS,
    PENALTY_OWED,
    ROLLBACK_COPYING,
    ROLLBACK_PRUNING,
    SNAPSHOT_COPYING,
    SNAPSHOT_VERIFYING,
    WEIGHTS_UPDATED,
    Seam,
    T,
)
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import PenaltyDelivered, RolledBack, SnapshotRefused
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import StorageFailed
from tolaria.train import checkpoint
from tolaria.train.config import Move, TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.run import Run
from tolaria.train.trainer import Trainer

NewFailing = Callable[[int, bool], Any]
Strike = Callable[[str, Any], contextlib.AbstractContextManager[None]]
Bytes = dict[str, bytes]
# In this step a fossil is snapshotted; in that one the host collapses while a second seed is blended into it.
TAKE, COLLAPSE, STEPS = 5, 9, 11


def move(step: int, op: Op, slot: str, **factors: Any) -> Move:
    return Move(step, None, Action(op=op, slot=slot, **factors))


def config(**governor: Any) -> TrainConfig:
    """One host that commits a seed and blends another, under a governor."""
    script = (
        move(0, Op.GERMINATE, "s0", blueprint="residual_mlp", tempo=1),
        *(move(step, Op.ADVANCE, "s0") for step in (1, 2, 4)),
        move(5, Op.FOSSILIZE, "s0"),
        move(6, Op.GERMINATE, "s1", blueprint="residual_mlp", tempo=3),
        *(move(step, Op.ADVANCE, "s1") for step in (7, 8)),
    )
    return TrainConfig(
        task="spirals",
        policy="scripted",
        envs=1,
        steps=STEPS,
        rollout_steps=STEPS,
        checkpoint_every=3,
        script=script,
        training=TrainingConfig(batches_per_step=1, optimizer="adam"),
        gates=GateConfig(training_steps_min=1, contribution_min=-1.0, prune_age_min=1, magnitude_max=100.0, seeds_max=2),
        governor=GovernorConfig(snapshot_every=2, probation=1, optimizer="restore", detectors=("non_finite",), **governor),
    )


@dataclass
class Struck:
    """Taps that lose the host in one step, fail at a seam, and copy the live modules whenever a snapshot begins, by its step."""

    seam: Seam[Any] | None
    step: int
    failing: Any = None
    copies: dict[int, Bytes] = field(default_factory=dict)
    host: CapsuleHost | None = None

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam == WEIGHTS_UPDATED and at.step == COLLAPSE:
            with torch.no_grad():
                next(iter(value.host.own_parameters().values())).fill_(float("nan"))  # type: ignore[attr-defined]  # a trainee
        if seam == SNAPSHOT_COPYING and value == 0 and self.host is not None:
            self.copies[at.step] = lasting(self.host)
        if seam == self.seam and at.step >= self.step and self.failing is not None:
            self.failing.operate()
        return value


class FailingHistory(History):
    """A history whose disk fails; what comes before the first step is written."""

    def __init__(self, failing: Any = None) -> None:
        super().__init__()
        self.failing = failing

    def emit(self, event: Event) -> None:
        if self.failing is not None:
            self.failing.operate()
        super().emit(event)


def lasting(host: CapsuleHost) -> Bytes:
    return {name: raw_bytes(tensor) for name, tensor in lasting_tensors_of(host, "prune").items()}


def new_run(taps: Struck, **governor: Any) -> tuple[Run, FailingHistory]:
    history = FailingHistory()
    run = Run(config(**governor), torch.device("cpu"), history, taps)
    taps.host = run.envs.envs[0].training
    run.begin()
    return run, history


def train(run: Run) -> None:
    while not run.finished:
        take_step(run)
    finish_rollout(run)


def assert_nothing_is_lost(run: Run, copies: dict[int, Bytes]) -> None:
    """Every published snapshot is what it was, and the newest trusted one can be restored."""
    ring = run.governors[0].snapshots
    host = run.envs.envs[0].training
    assert ring.trusted()
    for snapshot in ring.published:
        assert {name: raw_bytes(tensor) for name, tensor in snapshot.tensors.items()} == copies[snapshot.step]
    wanted = ring.trusted()[0]
    host.taps = NO_TAPS
    done = roll_back(ring, host, Point(99, 0), False, run.config.governor, NO_TAPS)
    assert done.snapshot == wanted
    assert lasting(host) == copies[wanted.step]


PHASES: dict[str, tuple[Seam[Any], int]] = {
    "take": (SNAPSHOT_COPYING, TAKE),
    "validate": (SNAPSHOT_VERIFYING, TAKE),
    "restore": (ROLLBACK_COPYING, COLLAPSE),
    "prune": (ROLLBACK_PRUNING, COLLAPSE),
    "penalty": (PENALTY_OWED, COLLAPSE),
}


def told(run: Run, kind: type[Event]) -> list[Event]:
    return [event for event in run.history.events if isinstance(event, kind)]


def operations_in(phase: str) -> int:
    """The operations of the phase's one step in a run in which nothing fails."""
    seam, step = PHASES[phase]
    counts = Counter[int]()

    class Counting(Struck):
        def pass_through(self, seam_now: Seam[T], at: Point, value: T) -> T:
            counts[at.step] += seam_now == seam
            return super().pass_through(seam_now, at, value)

    run, _ = new_run(Counting(None, 0))
    train(run)
    entered = {(event.slot, event.stage_to) for event in run.history.events if isinstance(event, StageChanged)}
    assert {("s0", Stage.FOSSILIZED), ("s1", Stage.BLENDING), ("s1", Stage.PRUNED)} <= entered
    assert len(told(run, RolledBack)) == len(told(run, PenaltyDelivered)) == 1
    return counts[step]


@pytest.mark.parametrize("persists", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize(("phase", "operations_min"), [("take", 28), ("validate", 1), ("restore", 10), ("prune", 1), ("penalty", 1)])
def test_a_failure_at_any_operation_of_the_governor_loses_nothing(
    phase: str, operations_min: int, persists: bool, new_failing: NewFailing
) -> None:
    count = operations_in(phase)
    assert count >= operations_min
    for number in range(count):
        taps = Struck(*PHASES[phase], new_failing(number, persists))
        run, _ = new_run(taps)
        if persists and phase not in {"take", "validate"}:
            with pytest.raises(RollbackFailed, match="struck"):
                train(run)
        else:
            train(run)
            assert len(told(run, RolledBack)) == len(told(run, PenaltyDelivered)) == 1
        assert taps.failing.count > number
        assert bool(told(run, SnapshotRefused)) == (phase in {"take", "validate"})
        assert_nothing_is_lost(run, taps.copies)


@pytest.mark.parametrize("persists", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("digest", ["always", "offload"])
def test_a_failure_at_any_digest_loses_nothing(digest: str, persists: bool, new_failing: NewFailing, struck: Strike) -> None:
    number = 0
    while True:
        taps = Struck(None, 0)
        run, _ = new_run(taps, digest=digest)
        failing = new_failing(number, persists)
        with struck("digest", failing):
            try:
                train(run)
            except RollbackFailed:
                assert persists
        assert_nothing_is_lost(run, taps.copies)
        if failing.count <= number:
            break
        number += 1
    assert number >= 5


@pytest.mark.parametrize("persists", [False, True], ids=["once", "from then on"])
def test_a_failure_at_any_event_loses_nothing(persists: bool, new_failing: NewFailing) -> None:
    taps = Struck(None, 0)
    run, history = new_run(taps)
    before = len(history.events)
    train(run)
    for number in range(len(history.events) - before):
        taps = Struck(None, 0)
        run, history = new_run(taps)
        history.failing = new_failing(number, persists)
        # In the middle of an environment's own step it is the environment that is given up, and not the run.
        with contextlib.suppress(RuntimeError):
            train(run)
        assert history.failing.count > number
        assert_nothing_is_lost(run, taps.copies)


# On the way to the disk.


@pytest.mark.parametrize("persists", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("what", ["torch", "disk"])
def test_a_failure_at_any_operation_on_the_way_to_the_disk_loses_nothing(
    what: str, persists: bool, tmp_path: Path, new_failing: NewFailing, struck: Strike, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    trainer = Trainer.start(config(), tmp_path / "run")
    trainer.run.begin()
    trainer.save()
    copies = {0: lasting(trainer.run.envs.envs[0].training)}
    folder = tmp_path / "run" / "checkpoints"
    number = told_of = 0
    while True:
        trainer.run.step += 1
        before = newest(folder)
        failing = new_failing(number, persists)
        with struck(what, failing):
            trainer._persist()
        failed = len(told(trainer.run, StorageFailed))
        assert failed - told_of in {0, 1}
        assert newest(folder) in {before, trainer.run.step}
        if failed == told_of:
            assert newest(folder) == trainer.run.step
        told_of = failed
        if failing.count <= number:
            break
        number += 1
    trainer.close()
    assert number >= 8
    assert told_of >= 8
    assert_nothing_is_lost(trainer.run, copies)


def newest(folder: Path) -> int:
    """The step of the newest checkpoint, which holds what it held when it was written."""

    def step(tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> int:
        return int(facts["step"])

    return checkpoint.read_newest(folder, step)[0]
