"""The governor around any PyTorch loop.

    guard = watch(model, optimizer, chance_loss=math.log(10))
    for inputs, targets in loader:
        ...                          # forward, backward, optimizer.step(), scheduler.step(), scaler.update()
        guard.after_step(loss)       # judges, takes a snapshot when it is due, rolls back when it must

What happens to a model that keeps collapsing: the newest trusted snapshot; soon after a rollback the next older one;
from the third rollback within the budget's window half the learning rate; when the budget is spent, `BudgetSpent`: the
governor's own ladder. The data stream is never rewound, so every rollback also skips the batches that led to it.

With `watch(...).gated()`, for optimizers made with `fused=True`, a gradient that is not finite never reaches the weights:
the optimizer leaves out that step on the device, and the guard learns of it when it reads the loss. Such a step is no
collapse while everything that lasts is finite; `strikes` of them in a row are one.
"""

import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self, SupportsFloat

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tolaria.errors import BudgetSpent, ConfigError
from tolaria.gate import Gate
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.governor.snapshots import Snapshot
from tolaria.governor.verdict import Standing, Verdict
from tolaria.integrations.loop_state import Ema, LoopParts, LoopState
from tolaria.integrations.outdated_graphs import OutdatedGraphs
from tolaria.integrations.readings import AtOnce, OneStepLate, Read, Reading
from tolaria.integrations.vault import Vault
from tolaria.seams import NO_TAPS
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import RolledBack, SnapshotRefused, SnapshotTrusted
from tolaria.telemetry.run_events import StorageFailed
from tolaria.vitals import Vitals

# Where a loop says nothing of its task, a loss counts as exploded only above this multiple of the chance loss.
EXPLOSION_FACTOR = 1.5


class Outcome(StrEnum):
    """What became of a step. UNREAD: its loss is still on the device, and the next call will tell. GATED: it was left out."""

    UNREAD = "unread"
    GATED = "gated"
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Answer:
    """What `after_step` came to. `snapshot_step` is the step that the model was rolled back to.

    `rate_scale` is what cuts have left of the learning rate. `penalty` is what a controller would owe: None, for here is none.
    """

    outcome: Outcome
    step: int
    cause: str | None = None
    snapshot_step: int | None = None
    rate_scale: float = 1.0
    penalty: float | None = None


def watch(
    model: torch.nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    config: GovernorConfig | None = None,
    *,
    chance_loss: float,
    scheduler: LRScheduler | Sequence[LRScheduler] = (),
    scaler: torch.amp.GradScaler | None = None,
    ema: Ema | None = None,
    emit: Callable[[Event], None] | None = None,
) -> "Guard":
    """Take the first snapshot and return the guard of this loop; every number of `config` counts optimizer steps.

    Its suite of detectors is "batch" unless another is named.

    `chance_loss` is the loss of a model that knows nothing: ln C for C classes, the variance of the targets for squared
    errors. `emit` is told every event. Raises `ConfigError` for what cannot be watched, `NotFinite` for a model that is
    lost already.
    """
    parts = LoopParts(
        model,
        [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer),
        [scheduler] if isinstance(scheduler, LRScheduler) else list(scheduler),
        scaler,
        ema,
    )
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    reading = OneStepLate(device) if device.type == "cuda" else AtOnce()
    config = config or GovernorConfig()
    if config.detectors == "default":
        config = replace(config, detectors="batch")
    return Guard(parts, config, chance_loss, reading, emit)


class Guard:
    """Stands beside one loop. Made by `watch`; has a good snapshot from its first moment on."""

    def __init__(
        self,
        parts: LoopParts,
        config: GovernorConfig,
        chance_loss: float,
        reading: Reading,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        _refuse_what_grows(config)
        _refuse_several_ranks()
        # A loss that comes late says as many steps later that the weights of a snapshot were good.
        self._config = replace(config, probation=config.probation + reading.lag)
        self._reading = reading
        self._parts = parts
        self._gate: Gate | None = None
        self._gated_in_a_row = 0
        self._tell = emit
        self._calls = 0
        self._finished = False
        self._warned: set[str] = set()
        self._rolled_back: RolledBack | None = None
        self._spent: str | None = None
        graphs = OutdatedGraphs()
        self._state = LoopState(parts, graphs)
        self._governor = Governor(self._config, chance_loss, EXPLOSION_FACTOR * chance_loss, NO_TAPS, self._emit)
        self._vault: Vault | None = None
        self._governor.begin(self._state, Point(0))
        self._hook = parts.model.register_forward_hook(graphs)

    def gated(self) -> Self:
        """Put a gate before the optimizers, for the rest of the loop.

        Raises `ConfigError` for an optimizer that cannot be gated: without `fused=True`, or with a closure.
        """
        assert self._gate is None, "there is a gate already"
        self._gate = Gate(self._parts.optimizers)
        return self

    @property
    def steps(self) -> int:
        """The optimizer steps that the present weights have behind them; calls since the beginning less what was rolled back."""
        return self._state.steps

    @property
    def governor(self) -> Governor:
        """Whoever judges, with its snapshots."""
        return self._governor

    def persist(self, folder: Path | str) -> int:
        """Store every snapshot that becomes trusted; where the folder holds some, put the loop back to the newest first.

        To be called before the first step; returns `steps`. The two newest are kept. Raises `CheckpointDamaged` for a folder
        that holds no snapshot which this loop could take, `ConfigError` for what is no folder, or where another process writes into it.
        """
        if self._calls:
            raise ConfigError("guard.persist", f"{self._calls} steps", "a guard that has not seen a step")
        vault = Vault(Path(folder))
        try:
            recalled = vault.recall(self._state)
        except BaseException:
            vault.close()
            raise
        self._vault = vault
        if recalled is None:
            self._store(self._governor.snapshots.published[0])
        else:
            self._calls = recalled
            self._governor.begin(self._state, Point(recalled))
        return self._state.steps

    def after_step(self, loss: torch.Tensor | float) -> Answer:
        """Judge a step whose optimizer has stepped. Of a loss with several elements, such as of micro-batches, the mean counts.

        Raises `BudgetSpent` after a rollback too many, with the model restored, `RollbackFailed` where nothing could be
        restored, and `ConfigError` for what is no loss and after `finish`. On CUDA the loss is read one step late, so that
        nothing waits for the device.
        """
        if self._spent:
            raise BudgetSpent(self._spent)
        if self._finished:
            raise ConfigError("guard.after_step", "a guard that has finished", "one that has not; `watch` makes a new one")
        loss = _checked(loss)
        self._calls += 1
        self._state.steps += 1
        read = self._reading.read(loss, self._gate.take() if self._gate else None)
        return Answer(Outcome.UNREAD, self._calls) if read is None else self._answered(read, self._calls - self._reading.lag)

    def finish(self) -> Answer | None:
        """At the end of the loop: judge the step that was not read yet, and leave the model as a model that nobody watches.

        Its folder is let go of, and no step is taken any more.
        """
        self._finished = True
        self._hook.remove()
        if self._gate:
            self._gate.close()
        read = self._reading.rest()
        try:
            return None if read is None or self._spent else self._answered(read, self._calls)
        finally:
            # What that step made trusted is stored while the folder is still held.
            if self._vault is not None:
                self._vault.close()
                self._vault = None

    def _answered(self, read: Read, step: int) -> Answer:
        if not read.gated:
            self._gated_in_a_row = 0
            return self._judged(read.loss, self._places(read.loss))
        self._state.steps -= 1
        self._governor.gated(step, Point(self._calls))
        # A scaler overflows when it looks for its scale, and finds a smaller one by itself.
        scaler = self._parts.scaler
        overflowed = scaler is not None and scaler.is_enabled() and math.isfinite(read.loss)
        self._gated_in_a_row += not overflowed
        places = self._state.nonfinite_places()
        if not places and self._gated_in_a_row < self._config.strikes:
            return Answer(Outcome.GATED, self._calls, rate_scale=self._state.rate_scale)
        # Nothing comes through any more, or something else is lost too.
        return self._judged(read.loss, places or ("gradients",))

    def _judged(self, loss: float, places: tuple[str, ...]) -> Answer:
        at = Point(self._calls)
        # The loss of the batch stands for validation; accuracy is not known, and constant it moves no detector.
        vitals = Vitals(at.step, loss, loss, 0.0, None, places)
        verdict = self._governor.judge(vitals)
        told = self._rolled_back
        try:
            response = self._governor.enforce(verdict, vitals, self._state, at, fossilized=False)
        finally:
            # Also where a listener failed after the rollback.
            if self._rolled_back is not told:
                self._reading.forget()
                self._gated_in_a_row = 0
        if verdict.standing is not Standing.COLLAPSED:
            return self._answer(verdict)
        if response.retired:
            self._stop(at.step, verdict)
        return self._answer(verdict)

    def _places(self, loss: float) -> tuple[str, ...]:
        published = self._governor.snapshots.published
        due = bool(published) and self._calls - published[0].step >= self._config.snapshot_every
        # Weights that are lost show in the next loss, except those that are rarely used; they are found before a snapshot is due.
        return self._state.nonfinite_places() if due or not math.isfinite(loss) else ()

    def _stop(self, step: int, verdict: Verdict) -> None:
        assert verdict.alarm is not None
        assert self._rolled_back is not None
        self._spent = (
            f"step {step}: {self._governor.ladder.rollbacks} rollbacks within {self._config.budget_window} steps, "
            f"the last for {verdict.alarm.cause}; the model holds the snapshot of step {self._rolled_back.snapshot_step}"
        )
        raise BudgetSpent(self._spent)

    def _answer(self, verdict: Verdict) -> Answer:
        cause = verdict.alarm.cause if verdict.alarm else None
        if verdict.standing is Standing.COLLAPSED:
            assert self._rolled_back is not None
            return Answer(Outcome.ROLLED_BACK, self._calls, cause, self._rolled_back.snapshot_step, self._state.rate_scale)
        outcome = Outcome.HEALTHY if verdict.standing is Standing.HEALTHY else Outcome.SUSPECT
        return Answer(outcome, self._calls, cause, rate_scale=self._state.rate_scale)

    def _emit(self, event: Event) -> None:
        if isinstance(event, RolledBack):
            self._rolled_back = event
        if self._tell:
            self._tell(event)
        if isinstance(event, SnapshotRefused):
            self._warn_of(event)
        if isinstance(event, SnapshotTrusted):
            self._store(next(snapshot for snapshot in self._governor.snapshots.published if snapshot.number == event.snapshot))

    def _warn_of(self, refused: SnapshotRefused) -> None:
        # The next one is refused for the same reason, but for its number.
        reason = re.sub(r"snapshot \d+", "snapshot", refused.reason)
        if reason not in self._warned:
            self._warned.add(reason)
            warnings.warn(f"step {refused.at.step}: a snapshot was refused: {refused.reason}", RuntimeWarning, stacklevel=2)

    def _store(self, snapshot: Snapshot) -> None:
        if self._vault is None:
            return
        try:
            self._vault.store(snapshot)
        except Exception as error:  # noqa: BLE001 - a disk may fail in any way; what was stored before stands, and the loop goes on
            reason = f"the snapshot of step {snapshot.step} was not stored: {type(error).__name__}: {error}"
            # Whoever listens to no events has to hear of it all the same.
            warnings.warn(reason, RuntimeWarning, stacklevel=2)
            if self._tell:
                self._tell(StorageFailed(Point(self._calls), reason))


def _checked(loss: object) -> torch.Tensor | float:
    """A loss that can be read, before anything is counted; raises `ConfigError` for anything else."""
    if isinstance(loss, torch.Tensor) and not loss.is_complex():
        return loss
    if isinstance(loss, torch.Tensor) or not isinstance(loss, SupportsFloat):
        found = f"a tensor of {loss.dtype}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise ConfigError("guard.after_step", found, "the loss of the step: a tensor or a number")
    return float(loss)


def _refuse_several_ranks() -> None:
    """Each rank would judge a loss of its own, and one that rolls back alone leaves the others waiting for it."""
    ranks = torch.distributed.get_world_size() if torch.distributed.is_available() and torch.distributed.is_initialized() else 1
    if ranks > 1:
        raise ConfigError(
            "watch", f"{ranks} ranks of torch.distributed", "a loop of one process: nothing here lets ranks agree on a rollback"
        )


def _refuse_what_grows(config: GovernorConfig) -> None:
    """The data, the seeds and the learning rate of a plain loop are its owner's."""
    if config.rewind or config.live_seeds != "prune":
        asked = (config.live_seeds, config.rewind)
        raise ConfigError(
            "governor.live_seeds, governor.rewind", asked, "prune and false: a plain loop has no seeds, and its data are its own"
        )
    if config.optimizer == "rewarm":
        raise ConfigError("governor.optimizer", "rewarm", "reset, reset_all or restore: the learning rate belongs to the loop's scheduler")
