"""Facts about a run as a whole and about its steps, episodes and updates."""

from dataclasses import dataclass

from tolaria.telemetry.event import Event


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run begins; `config` is its whole configuration as JSON, `versions` pairs of package, or data, and version."""

    seed: int
    config: str
    commit: str
    versions: tuple[tuple[str, str], ...]
    slots: tuple[str, ...]
    chance_loss: float


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    """One environment finished one decision step; `reward` is raw, before any normalisation and before a penalty."""

    op: str
    slot: str
    accepted: bool
    train_loss: float
    val_loss: float
    val_accuracy: float
    gradient_norm: float | None
    reward: float | None


@dataclass(frozen=True, slots=True)
class EpisodeFinished(Event):
    """A host reached its time limit; `total_reward` includes every penalty."""

    episode: int
    steps: int
    total_reward: float
    rollbacks: int
    val_accuracy: float
    test_accuracy: float
    parameters: int


@dataclass(frozen=True, slots=True)
class WarmStarted(Event):
    """The controller has learnt the heuristic's decisions of so many episodes, each a row.

    `surprise` is what a decision tells the controller, in nats, on average; `likely` the part of all decisions that it now makes itself.
    """

    episodes: int
    rows: int
    surprise_before: float
    surprise: float
    likely: float


@dataclass(frozen=True, slots=True)
class RolloutFinished(Event):
    """The buffer is complete: rows kept for learning, and rows that ended in a penalty."""

    rows: int
    penalized_rows: int


@dataclass(frozen=True, slots=True)
class UpdateFinished(Event):
    """One PPO update; `skipped` says why nothing was learned, or is empty."""

    policy_loss: float | None
    value_loss: float | None
    entropy: float | None
    kl: float | None
    epochs: int
    skipped: str


@dataclass(frozen=True, slots=True)
class PolicyRestored(Event):
    """The controller itself was put back to its last good weights."""

    reason: str


@dataclass(frozen=True, slots=True)
class GrowthFrozen(Event):
    """The controller has stopped growing under the penalty: germinations an episode, now and before it could learn anything."""

    germinations: float
    control: float


@dataclass(frozen=True, slots=True)
class StorageFailed(Event):
    """A checkpoint, or a snapshot on its way to the disk, could not be stored; the ones before it stand."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The run reached its last step; one test accuracy an environment, None for a retired one."""

    test_accuracies: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class RunAborted(Event):
    """The run ended by an error, named with its type."""

    error: str
    message: str
