"""A state machine drives the real governor on a real host, and the model of it; they must say the same and stand the same."""

import math
import subprocess
import sys
from typing import TypeVar

import torch
import xxhash
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from firedrill.campaign.model import Model, Said, Settings, Slot
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.errors import RollbackFailed
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.stage import IllegalMove, Stage
from tolaria.seams import ROLLBACK_COPYING, SNAPSHOT_COPYING, Seam
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import EnvironmentRetired, RolledBack, SnapshotRefused, SnapshotTaken
from tolaria.vitals import Vitals

T = TypeVar("T")
SLOTS = ("s0", "s1")
MOVES = ("germinate", "advance", "retarget", "fossilize", "prune")
NAN = float("nan")
# Their alarms can be brought about by a number alone.
DETECTORS = ("non_finite", "loss_explosion", "early_explosion")


class Failing:
    """Taps that raise at the first copy of so many attempts."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if seam in {SNAPSHOT_COPYING, ROLLBACK_COPYING} and self.left.get(seam.name, 0):
            self.left[seam.name] -= 1
            raise MemoryError(seam.name)
        return value


class Real:
    """One environment's host and governor, without a loop around them."""

    def __init__(self, config: GovernorConfig) -> None:
        torch.set_num_threads(1)
        task = TASKS["spirals"]()
        self.events: list[Event] = []
        self.taps = Failing()
        self.config = config
        self.host = CapsuleHost(task, TrainingConfig(batches_per_step=1), 3, torch.device("cpu"), self.taps, self.events.append)
        self.host.loss_before = 1.0
        self.governor = Governor(config, task.chance_loss, task.explosion_loss, self.taps, self.events.append)
        self.task = task
        self.governor.begin(self.host, Point(0, 0))

    def move(self, slot: str, move: str, at: Point) -> None:
        host, state = self.host, self.host.state(slot)
        if move == "germinate":
            host.host.germinate(slot, "residual_mlp", seed=5, steps=1)
        elif move == "advance":
            host.host.slot(slot).state = state.advanced()
        elif move == "retarget":
            host.host.slot(slot).state = state.retargeted(0.5, 1, Curve.LINEAR)
        elif move == "fossilize":
            host.fossilize(slot, at, "test", "policy")
        else:
            host.prune(slot, at, "test", "policy")
        host.renew_optimizers()

    def finish(self, step: int, loss: float, committed: bool) -> list[Event]:
        """Train, measure this loss, judge and enforce; returns what was told."""
        self.events.clear()
        at = Point(step, 0)
        self.host.train(at)
        self.host.tick(at)
        places = ()
        if math.isnan(loss):
            with torch.no_grad():
                next(iter(self.host.host.own_parameters().values())).fill_(NAN)
            places = self.host.nonfinite_places()
        vitals = Vitals(step, loss, loss, 0.5, 1.0, nonfinite=places)
        self.governor.enforce(self.governor.judge(vitals), vitals, self.host, at, committed)
        return list(self.events)

    def weights(self) -> str:
        """A digest of everything that a snapshot holds of the host itself."""
        state = xxhash.xxh3_128()
        for name, tensor in sorted(self.host.stable_tensors().items()):
            if not name.startswith("optimizer/"):
                state.update(name.encode() + tensor.detach().numpy().tobytes())
        return state.hexdigest()


class Compared(RuleBasedStateMachine):
    """Every rule does the same to both."""

    @initialize(
        every=st.integers(1, 4),
        kept=st.integers(2, 4),
        probation=st.integers(0, 3),
        strikes=st.integers(1, 3),
        budget=st.integers(1, 5),
        window=st.integers(1, 12),
        relapse=st.integers(0, 4),
        grace=st.integers(0, 3),
    )
    def begin(self, every: int, kept: int, probation: int, strikes: int, budget: int, window: int, relapse: int, grace: int) -> None:
        self.model = Model(Settings(every, kept, probation, strikes, budget, window, relapse, grace), {name: Slot() for name in SLOTS})
        self.real = Real(
            GovernorConfig(
                detectors=DETECTORS,
                snapshot_every=every,
                snapshots_kept=kept,
                probation=probation,
                strikes=strikes,
                budget=budget,
                budget_window=window,
                relapse_steps=relapse,
                grace_steps=grace,
            )
        )
        self.model.begin()
        self.saved = {0: self.real.weights()}
        self.committed = False
        self.over = False

    @precondition(lambda self: not self.over)
    @rule(slot=st.sampled_from(SLOTS), move=st.sampled_from(MOVES))
    def move(self, slot: str, move: str) -> None:
        possible = self.model.move(slot, move)
        try:
            self.real.move(slot, move, Point(self.model.step, 0))
        except IllegalMove:
            assert not possible
        else:
            assert possible
            self.committed |= move == "fossilize"

    @precondition(lambda self: not self.over)
    @rule(times=st.integers(1, 4))
    def healthy(self, times: int) -> None:
        for _ in range(times):
            self._step(0.3, self.model.healthy(self.committed, copying_fails=False))

    @precondition(lambda self: not self.over)
    @rule(slot=st.sampled_from(SLOTS), last=st.integers(2, 5))
    def grow(self, slot: str, last: int) -> None:
        """The way of a seed in one go, because by single moves few seeds are ever committed."""
        for move in ("germinate", "advance", "advance", "advance", "fossilize")[:last]:
            self.move(slot, move)
            self.healthy(1)

    @precondition(lambda self: not self.over)
    @rule()
    def healthy_without_memory(self) -> None:
        self.real.taps.left = {SNAPSHOT_COPYING.name: 1}
        self._step(0.3, self.model.healthy(self.committed, copying_fails=True))

    @precondition(lambda self: not self.over)
    @rule(failures=st.sampled_from((0, 0, 0, 0, 1, 2)))
    def exploded(self, failures: int) -> None:
        self.real.taps.left = {ROLLBACK_COPYING.name: failures}
        self._step(1e9, self.model.exploded(failures))

    @precondition(lambda self: not self.over)
    @rule(failures=st.sampled_from((0, 0, 0, 0, 0, 1, 2, 3)))
    def poisoned(self, failures: int) -> None:
        self.real.taps.left = {ROLLBACK_COPYING.name: failures}
        self._step(NAN, self.model.poisoned(failures))

    @precondition(lambda self: not self.over)
    @rule()
    def save_and_load(self) -> None:
        tensors, facts = self.real.governor.capsule()
        copies = {name: tensor.clone() for name, tensor in tensors.items()}
        task = self.real.task
        self.real.governor = Governor(self.real.config, task.chance_loss, task.explosion_loss, self.real.taps, self.real.events.append)
        self.real.governor.restore(copies, facts)

    @precondition(lambda self: self.over)
    @rule()
    def better_stopped_than_wrong(self) -> None:
        assert self.real.governor.snapshots.trusted()

    def _step(self, loss: float, said: Said) -> None:
        try:
            told = self.real.finish(self.model.step, loss, self.committed)
        except RollbackFailed:
            assert said.stopped
            self.over = True
            return
        finally:
            self.real.taps.left = {}
            self.committed = False
        assert not said.stopped
        rollbacks = [event for event in told if isinstance(event, RolledBack)]
        taken = [event.snapshot for event in told if isinstance(event, SnapshotTaken)]
        assert [(event.snapshot, event.work.attempts, frozenset(event.pruned)) for event in rollbacks] == (
            [] if said.restored is None else [(said.restored, said.attempts, said.pruned)]
        )
        assert taken == ([] if said.taken is None else [said.taken])
        assert any(isinstance(event, SnapshotRefused) for event in told) == said.refused
        assert any(isinstance(event, EnvironmentRetired) for event in told) == said.retired
        if said.taken is not None:
            self.saved[said.taken] = self.real.weights()
        if said.restored is not None:
            assert self.real.weights() == self.saved[said.restored]

    @invariant()
    def they_stand_alike(self) -> None:
        if not hasattr(self, "model") or self.over:
            return
        states = {name: self.real.host.state(name) for name in SLOTS}
        assert {name: (s.stage.value, s.generation) for name, s in states.items()} == {
            name: (slot.stage, slot.generation) for name, slot in self.model.slots.items()
        }
        published = self.real.governor.snapshots.published
        assert [(s.number, s.step, s.healthy_steps) for s in published] == [(s.number, s.step, s.healthy) for s in self.model.ring]
        assert [s.number for s in self.real.governor.snapshots.trusted()] == [s.number for s in self.model.trusted()]
        assert self.real.governor.life == self.model.life


def test_the_governor_does_what_its_model_says() -> None:
    # By day the same cases each time, and not shrunk, which takes many times as long as finding; by night others, and shrunk.
    by_day = settings(max_examples=120, stateful_step_count=25, deadline=None, derandomize=True, phases=(Phase.generate,))
    by_night = settings.get_current_profile_name() == "nightly"
    run_state_machine_as_test(Compared, settings=settings.get_profile("nightly") if by_night else by_day)


def begun(**settings: int) -> Compared:
    """A machine for what chance comes to too seldom."""
    machine = Compared()
    usual = {"every": 4, "kept": 3, "probation": 3, "strikes": 2, "budget": 9, "window": 12, "relapse": 0, "grace": 2}
    machine.begin(**usual | settings)
    return machine


def test_a_commit_that_is_undone_leaves_the_count_of_seeds() -> None:
    machine = begun()
    machine.move("s0", "germinate")
    machine.move("s0", "prune")
    for _ in range(8):
        machine.healthy_without_memory()
    for move in ("germinate", "advance", "advance", "advance", "fossilize"):
        machine.move("s0", move)
    machine.poisoned(0)
    machine.they_stand_alike()
    assert machine.model.slots["s0"].generation == 2


def test_after_a_lost_seed_one_alarm_is_no_collapse_and_two_in_a_row_are() -> None:
    # Without the loss of a seed one would be enough.
    machine = begun(strikes=1)
    machine.grow("s0", 4)
    machine.poisoned(0)
    lives = []
    for act in (lambda: machine.exploded(0), lambda: machine.healthy(1), lambda: machine.exploded(0), lambda: machine.exploded(0)):
        act()
        machine.they_stand_alike()
        lives.append(machine.model.life)
    assert lives == [1, 1, 2, 3]


def test_a_fossil_that_a_failed_attempt_pruned_and_the_last_one_brought_back_is_none_that_was_pruned() -> None:
    # Right after a rollback the older snapshot is tried first, and of that the seed was not yet committed.
    machine = begun(every=1, kept=2, probation=0, strikes=1, budget=1, window=1, relapse=1, grace=0)
    machine.grow("s0", 5)
    machine.exploded(0)
    machine.poisoned(2)
    machine.they_stand_alike()
    assert machine.real.host.state("s0").stage is Stage.FOSSILIZED


def test_a_fossil_that_a_failed_attempt_pruned_stays_pruned_where_the_older_snapshot_has_nothing_there() -> None:
    machine = begun(every=1, kept=4, probation=0, strikes=1)
    machine.move("s0", "germinate")
    machine.move("s0", "prune")
    machine.healthy(1)
    for _ in range(8):
        machine.healthy_without_memory()
    machine.grow("s0", 2)
    for move in ("advance", "advance", "fossilize"):
        machine.move("s0", move)
    # Two snapshots are tried twice, in which the seed still learnt, and then an older one, in which the slot rested.
    machine.poisoned(4)
    machine.they_stand_alike()
    assert machine.model.slots["s0"].stage == "pruned"


def test_the_model_needs_no_torch() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, firedrill.campaign.model; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"
