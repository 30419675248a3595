"""Seams: the typed, named points of a run where a value passes and a harness may look at it or change it.

    VIEW_READY                        what the controller is about to see of one environment
    DECIDED                           what it has decided there
    STEP_BEGUN                        one environment, one decision step
      ACTION_APPLIED                  the controller's decision has been executed or refused
      for each batch:
        BATCH_READY                   inputs and targets
        LOSS_READY                    the loss, before backward
        GRADIENTS_READY               after backward, before clipping
        WEIGHTS_UPDATED               after every optimizer has stepped
      VALIDATION_READY                the validation data, before the host sees it
      VITALS_MEASURED                 after validation
    DETECTOR_ASKED                    before each detector is asked, by its name
    VERDICT_READY                     the governor has judged
      SNAPSHOT_COPYING                before each tensor copy of a snapshot
      SNAPSHOT_VERIFYING              before the finite check and digest
      SNAPSHOT_TAKEN                  published
      ROLLBACK_PRUNING                before each slot is cleared
      ROLLBACK_COPYING                before each tensor is written back
      ROLLED_BACK                     the host is restored
      PENALTY_OWED                    the amount, on its way to the buffer
    REWARD_READY                      the reward of a step that nobody died in
    STEP_FINISHED                     everything of the step has happened
    ROLLOUT_READY                     the buffer is complete, advantages are known
    CHECKPOINT_DUE                    everything is at hand, and storing it is what passes

Ordinary training passes `NO_TAPS`, which returns every value as it came. Production code never adds a tap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from tolaria.telemetry.event import Point
from tolaria.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch

    from tolaria.host.host import Host
    from tolaria.lifecycle.action import Action

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seam(Generic[T]):
    """A typed key: the type of the value that passes is the type parameter."""

    name: str


class Trainee(Protocol):
    """A host in training, as far as a harness may know it: the live modules and optimizers, and moves of its slots."""

    @property
    def host(self) -> Host:
        """The live network with its slots."""
        ...

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The live optimizers: "host", and one a live seed, "<slot>.<generation>"."""
        ...

    def germinate(self, action: Action, at: Point, reason: str, initiator: str) -> None:
        """Let a seed of the action's blueprint grow in its slot by the table."""

    def advance(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Bring the seed of a slot to its next stage by the table."""

    def prune(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Remove the seed of a slot by the table."""

    def fossilize(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        """Commit the seed of a slot by the table."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Data for one pass: inputs [B, ...] and targets [B]. `number`: its place in the stream of training batches, from 0."""

    inputs: torch.Tensor
    targets: torch.Tensor
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """A snapshot's number together with the host that it was taken of or restored to: a `Trainee` where seeds grow in it.

    `tensors` are the snapshot's own, where it has just been published.
    """

    snapshot: int
    # The governor works on any model; who watches a growing host knows that it is one.
    trainee: Any
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict, repr=False)


# In the order in which a step passes them. What is `Any` is typed on floors that this file may not know.
VIEW_READY: Seam[Any] = Seam("view_ready")
DECIDED: Seam[Any] = Seam("decided")
STEP_BEGUN: Seam[Trainee] = Seam("step_begun")
ACTION_APPLIED: Seam[Trainee] = Seam("action_applied")
BATCH_READY: Seam[Batch] = Seam("batch_ready")
LOSS_READY: Seam[torch.Tensor] = Seam("loss_ready")
GRADIENTS_READY: Seam[Trainee] = Seam("gradients_ready")
WEIGHTS_UPDATED: Seam[Trainee] = Seam("weights_updated")
VALIDATION_READY: Seam[Batch] = Seam("validation_ready")
VITALS_MEASURED: Seam[Vitals] = Seam("vitals_measured")
DETECTOR_ASKED: Seam[str] = Seam("detector_asked")
VERDICT_READY: Seam[Any] = Seam("verdict_ready")
SNAPSHOT_COPYING: Seam[int] = Seam("snapshot_copying")
SNAPSHOT_VERIFYING: Seam[int] = Seam("snapshot_verifying")
SNAPSHOT_TAKEN: Seam[Observed] = Seam("snapshot_taken")
ROLLBACK_PRUNING: Seam[str] = Seam("rollback_pruning")
ROLLBACK_COPYING: Seam[int] = Seam("rollback_copying")
ROLLED_BACK: Seam[Observed] = Seam("rolled_back")
PENALTY_OWED: Seam[float] = Seam("penalty_owed")
REWARD_READY: Seam[float] = Seam("reward_ready")
STEP_FINISHED: Seam[Trainee] = Seam("step_finished")
ROLLOUT_READY: Seam[Any] = Seam("rollout_ready")
CHECKPOINT_DUE: Seam[Callable[[], Path]] = Seam("checkpoint_due")


class Taps(Protocol):
    """Whoever listens at the seams; it returns what should go on."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """Called at every seam; may raise where a scenario asks for an exception."""
        ...


@runtime_checkable
class Choosy(Protocol):
    """Taps that say where they listen at all."""

    def hears(self, seam: Seam[Any]) -> bool:
        """Whether anything may happen to what passes there."""
        ...


class NoTaps:
    """Nobody listens."""

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """The value, as it came."""
        return value


NO_TAPS = NoTaps()


def is_heard(seam: Seam[Any], taps: Taps) -> bool:
    """Whether somebody listens at a seam; of taps that do not say it is taken for granted."""
    return taps is not NO_TAPS and (not isinstance(taps, Choosy) or taps.hears(seam))
