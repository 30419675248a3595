"""Walks beside a loop that is not ours: lets its seams pass, and writes down what the harness sees of it.

A step of a loop is one optimizer step, in environment 0. Whoever stands beside a loop counts its steps from 1, after they were
made; a history counts them from 0. The drill translates.
"""

import json
import math
from dataclasses import asdict, replace
from typing import Any, TypeVar

import torch

from firedrill.events import RollbackObserved, SnapshotObserved, StateDigested
from firedrill.subjects.growth import digest_of, tensors_seen
from firedrill.subjects.loop import Learner, Loop, Setup, Trained
from tolaria.seams import (
    BATCH_READY,
    GRADIENTS_READY,
    LOSS_READY,
    ROLLED_BACK,
    SNAPSHOT_TAKEN,
    STEP_BEGUN,
    STEP_FINISHED,
    WEIGHTS_UPDATED,
    Batch,
    Observed,
    Seam,
    Taps,
)
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import (
    EnvironmentRetired,
    RolledBack,
    SnapshotTaken,
    SnapshotWithdrawn,
    UpdateGated,
)
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import RunAborted, RunFinished, RunStarted, StepFinished
from tolaria.train.trainer import commit, versions

T = TypeVar("T")

# The mechanisms whose branches are those of the governor.
GOVERNED = frozenset({"tolaria", "tolaria_gated"})


class Drill:
    """The harness beside one run. Hand `emit` to the loop's mechanism, `attach` the finished loop, and say what happens.

    What was emitted before the loop was attached, such as a first snapshot, is written down then.
    """

    def __init__(self, setup: Setup, history: History, taps: Taps) -> None:
        self.setup = setup
        self.step = -1
        # What the harness itself did wrong; the loop must not be blamed for it.
        self.failure: Exception | None = None
        self._history = history
        self._taps = taps
        self._early: list[Event] | None = []
        self._learner: Learner | None = None
        self._stopped = False
        self._loss: float = math.nan
        self._norm: float | None = None

    def attach(self, loop: Trained) -> None:
        """The loop is built and has not stepped."""
        self._loop = loop
        self._learner = Learner(loop.model, {"host": loop.optimizer}, loop.scaler)
        self._identities = identities(loop.model)
        settings = {"governor": asdict(self.setup.governor) if self.setup.mechanism in GOVERNED else None}
        config = json.dumps(asdict(self.setup) | settings, sort_keys=True)
        self._history.emit(RunStarted(Point(0), self.setup.seed, config, commit(), versions(), (), loop.chance_loss))
        loop.optimizer.register_step_post_hook(self._stepped)
        early, self._early = self._early or [], None
        for event in early:
            self.emit(event)

    def emit(self, event: Event) -> None:
        """An event of the loop's mechanism; at a snapshot and at a rollback the harness looks for itself, and then faults may strike."""
        if self._early is not None:
            self._early.append(event)
            return
        event = in_history(event)
        at = event.at
        if isinstance(event, SnapshotTaken):
            self._history.emit(event)
            self._look(event)
            self._pass(SNAPSHOT_TAKEN, at, Observed(event.snapshot, self._learner))
            return
        if isinstance(event, RolledBack):
            self._look(event)
            self._pass(ROLLED_BACK, at, Observed(event.snapshot, self._learner))
        self._stopped |= isinstance(event, EnvironmentRetired)
        self._history.emit(event)

    def begin_step(self) -> None:
        """The next step begins."""
        self.step += 1
        self._loss, self._norm = math.nan, None
        self._pass(STEP_BEGUN, self._at, self._learner)

    def batch(self, inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch that the loop is to see."""
        batch = self._pass(BATCH_READY, self._in_batch, Batch(inputs, targets, self.step))
        return batch.inputs, batch.targets

    def loss(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss that the loop is to see, before backward."""
        loss = self._pass(LOSS_READY, self._in_batch, loss)
        self._loss = float(loss.detach())
        return loss

    def gradients(self) -> None:
        """Backward is through, and nothing is clipped."""
        self._pass(GRADIENTS_READY, self._in_batch, self._learner)
        found = [parameter.grad for parameter in self._loop.model.parameters() if parameter.grad is not None]
        self._norm = float(torch.nn.utils.get_total_norm(found)) if found else None

    def finish_step(self) -> None:
        """Everything of the step has happened, also what the mechanism does."""
        loss, accuracy = self._loop.validate()
        self._history.emit(StepFinished(self._at, "wait", "", True, self._loss, loss, accuracy, self._norm, None))
        tensors = tensors_of(self._loop)
        parts = {part: {name: tensor for name, tensor in tensors.items() if name.startswith(part)} for part in ("host", "optimizer")}
        self._history.emit(StateDigested(self._at, tuple((part, digest_of(held)) for part, held in parts.items())))
        self._pass(STEP_FINISHED, self._at, self._learner)

    def finish(self, error: Exception | None = None) -> None:
        """The loop has ended. An error is no crash where a mechanism has said that it ends the training."""
        at = Point(max(self.step, 0))
        if error is not None and not self._stopped:
            kind = type(error)
            self._history.emit(RunAborted(at, f"{kind.__module__}.{kind.__qualname__}", str(error)))
            return
        self._history.emit(RunFinished(at, (self._loop.validate()[1],)))

    def _stepped(self, *_: object) -> None:
        self._pass(WEIGHTS_UPDATED, self._in_batch, self._learner)

    def _look(self, event: SnapshotTaken | RolledBack) -> None:
        try:
            tensors = tensors_seen(tensors_of(self._loop))
            if isinstance(event, SnapshotTaken):
                self._history.emit(SnapshotObserved(event.at, event.snapshot, tensors))
                return
            kept = identities(self._loop.model) == self._identities
            self._history.emit(RollbackObserved(event.at, event.snapshot, tensors, kept, optimizer_live(self._loop), ()))
        except Exception as error:
            self.failure = error
            raise

    @property
    def attached(self) -> bool:
        """Whether there is a loop at all."""
        return self._learner is not None

    @property
    def _at(self) -> Point:
        return Point(self.step, 0)

    @property
    def _in_batch(self) -> Point:
        return Point(self.step, 0, 0)

    # A learner is a trainee without slots, and faults that move slots are refused when a scenario is read.
    def _pass(self, seam: Seam[Any], at: Point, value: T) -> T:
        passed: T = self._taps.pass_through(seam, at, value)
        return passed


def drive(loop: Loop, drill: Drill) -> None:
    """Step a loop, which has just been built, to its end."""
    drill.attach(loop)
    for _ in range(drill.setup.steps):
        drill.begin_step()
        loss = drill.loss(loop.loss(*drill.batch(*loop.batch())))
        loop.backward(loss)
        drill.gradients()
        try:
            loop.step(loss)
        finally:
            # Also of a step that ended the training: the model as it was left is what counts.
            drill.finish_step()


def in_history(event: Event) -> Event:
    """An event in the time of a history: steps from 0, in environment 0. What came before the first step belongs to step 0."""
    event = replace(event, at=Point(max(0, event.at.step - 1), 0))
    if isinstance(event, RolledBack):
        return replace(event, snapshot_step=max(0, event.snapshot_step - 1))
    if isinstance(event, UpdateGated | SnapshotWithdrawn):
        return replace(event, flagged=max(0, event.flagged - 1))
    return event


def tensors_of(loop: Trained) -> dict[str, torch.Tensor]:
    """Every live tensor: "host/<name>" and "optimizer/host/<parameter>/<state key>", read off model and optimizer."""
    model = loop.model
    named = dict(model.named_parameters())
    tensors: dict[str, torch.Tensor] = {f"host/{name}": tensor for name, tensor in (*named.items(), *model.named_buffers())}
    for name, parameter in named.items():
        state = loop.optimizer.state.get(parameter, {})
        tensors |= {f"optimizer/host/{name}/{field}": value for field, value in state.items() if isinstance(value, torch.Tensor)}
    return tensors


def identities(model: torch.nn.Module) -> frozenset[int]:
    """Which objects the parameters are."""
    return frozenset(id(parameter) for parameter in model.parameters())


def optimizer_live(loop: Trained) -> bool:
    """Whether the optimizer holds live parameters only, each once."""
    held = [id(parameter) for group in loop.optimizer.param_groups for parameter in group["params"]]
    return len(held) == len(set(held)) and set(held) <= identities(loop.model)
