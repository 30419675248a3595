"""What the harness sees of a run at its seams, written into the same history as events of its own.

The observer keeps its own copy of every published snapshot and of every live tensor's digest, so that no statement about
a rollback rests on what the governor says of itself.
"""

from collections.abc import Callable
from typing import Any

import torch

from firedrill.events import RollbackObserved, SnapshotObserved, StateDigested, TwinStepped
from firedrill.subjects.census import Census
from firedrill.subjects.first_step import FirstStep
from firedrill.subjects.growth import (
    Twin,
    buffers_observed,
    host_names,
    lasting_tensors_of,
    occupied_slots,
    optimizers_live,
    own_identities,
    parts_of,
    tensors_of,
    tensors_seen,
    text_digest,
)
from tolaria.env.capsule import CapsuleHost
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.seams import (
    GRADIENTS_READY,
    ROLLED_BACK,
    ROLLOUT_READY,
    SNAPSHOT_TAKEN,
    STEP_FINISHED,
    WEIGHTS_UPDATED,
    Observed,
    Seam,
)
from tolaria.telemetry.event import Event, Point
from tolaria.train.run import Run

Kept = tuple[dict[str, torch.Tensor], dict[str, Any]]


class Observer:
    """Sees, and changes nothing. `twin_steps`: so long a fresh twin walks beside every rolled-back environment; 0 for none.

    `counts`: a census is taken after every rollback.
    """

    def __init__(self, emit: Callable[[Event], None], twin_steps: int, counts: bool = False) -> None:
        self.run: Run | None = None
        self._emit = emit
        self._twin_steps = twin_steps
        self._counts = counts
        self._first: Census | None = None
        self._kept: dict[tuple[int, int], Kept] = {}
        self._identities: dict[int, frozenset[int]] = {}
        self._twins: dict[int, tuple[int, Point, Twin]] = {}
        self._begin_twin: dict[int, tuple[int, Point]] = {}
        self._first_steps_due: set[int | None] = set()
        self._first_steps: dict[int | None, FirstStep] = {}
        # By the name of the seam, because a run passes thousands of them.
        self._looks: dict[str, Callable[[Point, object], None]] = {
            SNAPSHOT_TAKEN.name: self._snapshot,
            ROLLED_BACK.name: self._rollback,
            STEP_FINISHED.name: self._step,
            GRADIENTS_READY.name: self._gradients,
            WEIGHTS_UPDATED.name: self._updated,
            ROLLOUT_READY.name: self._rollout,
        }

    def attend(self, run: Run) -> None:
        """Watch this run, whose hosts may be those of a process that came before."""
        self.run = run
        self._identities = {env.env: own_identities(env.training) for env in run.envs.envs}

    def see(self, seam: Seam[Any], at: Point, value: object) -> None:
        """Look at what passes, where there is anything to be seen."""
        look = self._looks.get(seam.name)
        if look is not None:
            look(at, value)

    def _gradients(self, at: Point, host: object) -> None:
        if at.env in self._first_steps_due:
            assert isinstance(host, CapsuleHost)
            self._first_steps_due.discard(at.env)
            self._first_steps[at.env] = FirstStep.of(host)

    def _updated(self, at: Point, host: object) -> None:
        if at.env in self._first_steps:
            assert isinstance(host, CapsuleHost)
            self._emit(self._first_steps.pop(at.env).seen(host, at))

    def _rollout(self, at: Point, buffer: object) -> None:
        assert isinstance(buffer, RolloutBuffer)
        assert self.run is not None
        for observed in buffers_observed(self.run, buffer, at):
            self._emit(observed)

    def _snapshot(self, at: Point, observed: object) -> None:
        assert isinstance(observed, Observed)
        host = _host(observed)
        assert at.env is not None
        assert self.run is not None
        tensors = lasting_tensors_of(host, self.run.config.governor.live_seeds)
        self._emit(SnapshotObserved(at, observed.snapshot, tensors_seen(tensors)))
        if self._twin_steps:
            facts = self.run.envs.envs[at.env].facts()
            self._kept[at.env, observed.snapshot] = ({name: t.detach().clone() for name, t in tensors.items()}, facts)
        self._identities[at.env] = own_identities(host)

    def _rollback(self, at: Point, observed: object) -> None:
        assert isinstance(observed, Observed)
        host = _host(observed)
        assert at.env is not None
        assert self.run is not None
        self._emit(
            RollbackObserved(
                at,
                observed.snapshot,
                tensors_seen(lasting_tensors_of(host, self.run.config.governor.live_seeds)),
                own_identities(host) == self._identities.get(at.env),
                optimizers_live(host),
                occupied_slots(host),
            )
        )
        self._begin_twin[at.env] = (observed.snapshot, at)
        self._first_steps_due.add(at.env)
        if self._counts:
            self._count(at)

    def _count(self, at: Point) -> None:
        assert self.run is not None
        census = Census.of(env.training for env in self.run.envs.envs)
        self._first = self._first or census
        self._emit(census.since(self._first, at))

    def _step(self, at: Point, host: object) -> None:
        assert isinstance(host, CapsuleHost)
        assert self.run is not None
        assert at.env is not None
        governor = self.run.governors[at.env].capsule()[1]
        self._emit(StateDigested(at, (*parts_of(host), ("governor", text_digest(governor)))))
        if self._twin_steps:
            self._walk_beside(at, at.env, self.run)

    def _walk_beside(self, at: Point, env: int, run: Run) -> None:
        live = run.envs.envs[env]
        begin = self._begin_twin.pop(env, None)
        if begin is not None:
            # What an earlier process has published is kept by nobody.
            if (env, begin[0]) not in self._kept:
                return
            tensors, facts = self._kept[env, begin[0]]
            # A twin cannot stand where the run should not: what is left over in slots is for other oracles to see.
            if host_names(tensors) != host_names(tensors_of(live.training)):
                return
            self._twins[env] = (*begin, Twin(live, tensors, facts, run.config))
        elif env in self._twins:
            snapshot, since, twin = self._twins[env]
            # A new episode has a new host, which is no continuation of anything.
            if at.step - since.step > self._twin_steps or live.episode != twin.env.episode:
                del self._twins[env]
                return
            self._emit(TwinStepped(at, snapshot, twin.advance(live.course.last_action, at)))


def _host(observed: Observed) -> CapsuleHost:
    assert isinstance(observed.trainee, CapsuleHost)
    return observed.trainee
