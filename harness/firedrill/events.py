"""What the harness itself sees of a run: strikes of faults, digests of state, tensors at snapshots and rollbacks, buffers.

Digests are xxh3-128 of raw bytes, as hexadecimal text: +0 and -0 differ, and a NaN equals itself.
"""

from dataclasses import dataclass

from tolaria.telemetry.event import Event


@dataclass(frozen=True, slots=True)
class FaultStruck(Event):
    """The witness of a fault: where and at which seam it acted, on how many elements, and what changed."""

    fault: int
    kind: str
    place: str
    elements: int
    digest_before: str
    digest_after: str
    first_value: str
    phase: str = ""


@dataclass(frozen=True, slots=True)
class RunResumed(Event):
    """The run's process had died, and a new one goes on from the newest checkpoint; `dropped` events behind that one are gone.

    Strikes among them are told again right before this, because what they did, the end of a process, did happen.
    """

    dropped: int


@dataclass(frozen=True, slots=True)
class StateDigested(Event):
    """One environment's whole state at the end of a step, part by part: pairs of part and digest."""

    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TensorSeen:
    """One tensor of the state. `magnitude` is its largest absolute finite value, `nonfinite` counts NaN and Inf."""

    name: str
    digest: str
    nonfinite: int
    magnitude: float


@dataclass(frozen=True, slots=True)
class SnapshotObserved(Event):
    """The live tensors at the moment when the governor published a snapshot of them."""

    snapshot: int
    tensors: tuple[TensorSeen, ...]


@dataclass(frozen=True, slots=True)
class RollbackObserved(Event):
    """The live tensors right after a rollback. Names: "host/...", "optimizer/host/<parameter>/<state key>".

    `identity_kept`: every host parameter is the same object as before. `optimizer_live`: the optimizers hold exactly the
    live trainable parameters. `occupied`: slots that still hold an experimental seed.
    """

    snapshot: int
    tensors: tuple[TensorSeen, ...]
    identity_kept: bool
    optimizer_live: bool
    occupied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CensusTaken(Event):
    """Right after a rollback: how much more the process holds than after the first one of the run."""

    tensors: int
    tensor_bytes: int
    hooks: int
    threads: int
    files: int


@dataclass(frozen=True, slots=True)
class FirstStepSeen(Event):
    """The first step of the host's optimizer after a rollback. `weight`, `gradient`, `displacement`: the largest absolute numbers.

    `count` is how many steps the optimizer thinks to have made, this one among them; 0 where it does not count.
    """

    optimizer: str
    lr: float
    decay: float
    betas: tuple[float, ...]
    count: float
    weight: float
    gradient: float
    displacement: float


@dataclass(frozen=True, slots=True)
class StateLeft(Event):
    """What one environment, or the controller where `env` is None, left when its run was over. `hooks`: how many hang on the host."""

    parts: tuple[tuple[str, str], ...]
    hooks: int


@dataclass(frozen=True, slots=True)
class RowSeen:
    """One row of the buffer as the update will see it. `marker` is true on a row that ended in a rollback.

    `share` is what `reward` holds of the penalty for a later rollback.

    `ratio_error` is the absolute difference of the recomputed and the stored log-probability; None without a learner.
    """

    step: int
    life: int
    reward: float
    raw_reward: float
    value: float
    bootstrap: float
    advantage: float
    terminated: bool
    truncated: bool
    fresh: bool
    marker: bool
    ratio_error: float | None
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class BufferObserved(Event):
    """All rows of one environment in a finished rollout, in order of time."""

    rows: tuple[RowSeen, ...]
    gamma: float
    gae_lambda: float


@dataclass(frozen=True, slots=True)
class TwinStepped(Event):
    """A fresh subject, built from a snapshot and given the same data, finished the same step."""

    snapshot: int
    parts: tuple[tuple[str, str], ...]


# Everything that the run itself never tells.
HARNESS_KINDS: tuple[type[Event], ...] = (
    FaultStruck,
    RunResumed,
    StateDigested,
    SnapshotObserved,
    RollbackObserved,
    CensusTaken,
    FirstStepSeen,
    StateLeft,
    BufferObserved,
    TwinStepped,
)
