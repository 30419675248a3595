"""Facts about snapshots, suspicion, collapse, rollback and penalty."""

from dataclasses import dataclass, field
from enum import StrEnum

from tolaria.telemetry.event import UNRECORDED, Event


class Rung(StrEnum):
    """How far a rollback went up the ladder of responses; each rung includes what the ones before it hope for.

    NEWEST: the newest trusted snapshot. OLDER: an older one. EASED: also a lower learning rate and other data. RETIRED: also
    the end of the environment.
    """

    NEWEST = "newest"
    OLDER = "older"
    EASED = "eased"
    RETIRED = "retired"


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
    """What was known when a rollback was decided; None where there is no value, never NaN.

    `recent` are the latest losses, the one that decided last. `snapshot_ages` are the ages in steps of every snapshot that
    was kept, newest first.
    """

    cause: str
    loss: float | None
    threshold: float | None
    mean: float | None
    spread: float | None
    streak: int
    recent: tuple[float | None, ...]
    snapshot_ages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ease:
    """A host goes on more gently: what cuts have left of its learning rate, and how many batches of its data it does not see."""

    lr_scale: float
    skipped_batches: int


@dataclass(frozen=True, slots=True)
class Probe:
    """What a restored host is worth on its validation data before it trains again: loss and mutual information in nats."""

    loss: float
    mutual_information: float


@dataclass(frozen=True, slots=True)
class Remedy:
    """What was done beside restoring. `ease` is None on the rungs that have none.

    `ease_failed` says why a host could not be eased although the ladder asked for it; the rung is then a lower one. None otherwise.
    `probe` is what the recovery of a host is judged by that has lost a blended seed; None where no seed was leaned on, and
    where the probe gave no number.
    """

    rung: Rung
    ease: Ease | None
    probe: Probe | None
    ease_failed: str | None = None


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the phases of a rollback kept the training thread, in seconds; failed attempts count in them."""

    choose: float
    validate: float
    rebuild: float
    copy: float
    settle: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a rollback took. `bytes` is the size of the snapshot; `durations` are not part of the record, which holds no clock."""

    attempts: int
    bytes: int
    durations: Durations | None = field(default=None, compare=False, metadata=UNRECORDED)


@dataclass(frozen=True, slots=True)
class RolledBack(Event):
    """A rollback is complete: to which snapshot, why, what became of the host, and what it took."""

    snapshot: int
    snapshot_step: int
    decision: Decision
    pruned: tuple[str, ...]
    optimizer_policy: str
    remedy: Remedy
    work: Work
    life: int


@dataclass(frozen=True, slots=True)
class PenaltyDelivered(Event):
    """The death penalty was handed to the buffer; `row` is the place there of this very step.

    `shares` are pairs of a step and what its row bears, the step of the collapse last; they add up to `amount` exactly.
    """

    amount: float
    row: int
    shares: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentRetired(Event):
    """An environment's rollback budget is spent, or it cannot be stepped; it trains no more, the others go on."""

    rollbacks: int
    reason: str
