"""Facts about snapshots, suspicion, collapse, rollback and penalty."""

from dataclasses import dataclass

from tolaria.telemetry.event import Event


@dataclass(frozen=True, slots=True)
class SnapshotTaken(Event):
    """A complete and verified snapshot was published. `reason` is "begin", "cadence" or "fossilized".

    `digest` is empty where it is computed later, before the snapshot is trusted.
    """

    snapshot: int
    digest: str
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class SnapshotTrusted(Event):
    """A snapshot came through its probation: the steps after it were healthy."""

    snapshot: int


@dataclass(frozen=True, slots=True)
class SnapshotRefused(Event):
    """A snapshot was due and is not to be had; the ones before it stand."""

    reason: str


@dataclass(frozen=True, slots=True)
class SnapshotWithdrawn(Event):
    """A candidate is no snapshot any more: the flag of step `flagged`, which came late, was not clean."""

    snapshot: int
    flagged: int


@dataclass(frozen=True, slots=True)
class UpdateGated(Event):
    """The gate kept gradients that are not finite from the weights: those of step `flagged`, in these of its batches.

    A loop that is not ours has no batches: all of its step counts.
    """

    flagged: int
    batches: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Suspected(Event):
    """An anomaly that is not yet a collapse; snapshots are frozen. `loss` and `threshold` are None where there is none."""

    cause: str
    loss: float | None
    threshold: float | None
    streak: int


@dataclass(frozen=True, slots=True)
class Collapsed(Event):
    """The governor's verdict that the host is lost; `evidence` says where it looked and what it saw."""

    cause: str
    loss: float | None
    threshold: float | None
    streak: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the detectors knew when a rollback was decided; None where there is no value, never NaN."""

    cause: str
    loss: float | None
    threshold: float | None
    mean: float | None
    spread: float | None
    streak: int
    recent: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class RolledBack(Event):
    """A rollback is complete. `snapshot_ages` are the ages in steps of every snapshot that was kept, newest first."""

    snapshot: int
    snapshot_step: int
    decision: Decision
    snapshot_ages: tuple[int, ...]
    pruned: tuple[str, ...]
    optimizer_policy: str
    attempts: int
    life: int


@dataclass(frozen=True, slots=True)
class PenaltyDelivered(Event):
    """The death penalty was handed to the buffer's row of this very step."""

    amount: float
    row: int


@dataclass(frozen=True, slots=True)
class EnvironmentRetired(Event):
    """An environment's rollback budget is spent; it trains no more, the others go on."""

    rollbacks: int
    reason: str
