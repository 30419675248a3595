"""The governor's settings; losses in nats, times in decision steps."""

import math
from dataclasses import dataclass

from tolaria.errors import ConfigError

# In the order in which they are asked; of several that are sure of a collapse, the first names the cause.
DETECTOR_NAMES = (
    "non_finite",
    "lobotomy",
    "confirmed_lobotomy",
    "uniform_output",
    "loss_explosion",
    "confirmed_explosion",
    "early_explosion",
    "spike_train",
    "mutual_information",
    "accuracy_drop",
    "skill_lost",
    "slow_drift",
    "loss_outlier",
)
# What else can be the cause of a collapse: a host that is no better after its rollback, and a detector that raises.
RECOVERY_FAILED, DETECTOR_FAILED = "recovery_failed", "detector_failed"
CAUSES = (*DETECTOR_NAMES, RECOVERY_FAILED, DETECTOR_FAILED)
# "classic" watches losses with the three gates that such governors have always had; "default" holds everything that is noticed
# by it, as soon, and more (see `tolaria envelope`); "batch" is for losses of single batches, which are far noisier than the
# validation losses that the others were measured on.
SUITES: dict[str, tuple[str, ...]] = {
    "classic": ("non_finite", "lobotomy", "loss_explosion"),
    "batch": ("non_finite", "lobotomy", "loss_explosion", "early_explosion"),
    # Whoever looks at the answers need not believe a loss alone.
    "default": tuple(name for name in DETECTOR_NAMES if name not in {"lobotomy", "loss_explosion"}),
}
OPTIMIZER_POLICIES = ("reset", "reset_all", "restore", "rewarm")
LIVE_SEED_POLICIES = ("prune", "restore")
DIGEST_MOMENTS = ("always", "offload")


@dataclass(frozen=True, slots=True)
class GovernorConfig:
    """When a host counts as collapsed, when a snapshot is taken and trusted, and what a rollback does.

    `detectors` is a suite, "classic", "batch" or "default", or names of detectors. `penalty` is the death penalty.
    `optimizer` is what a rollback does to optimizer state: "reset" zeroes momentum and
    first moments and restores second moments and step counters, "reset_all" forgets everything, "restore" restores everything,
    "rewarm" is "reset" with a learning rate that rises again over `rewarm_batches` batches.
    `live_seeds` is what it does to seeds that are no fossils: "prune" takes them out, "restore" brings back those of the snapshot.
    `rewind` winds back what else goes on after a rollback: data, episode, slots at rest, generations, what was judged. With
    `optimizer` and `live_seeds` both "restore" the run then goes on as if it had never fallen, to the last bit.
    `digest` is when a snapshot is sealed: "always" at the take, "offload" when it becomes trusted or leaves memory.
    On a CUDA device, "always" waits for all streams at every take; "offload" lets the host go on, orders the copy behind the
    training stream (the default one, or that of the takes), and checks it in a later step.
    Within `budget_window` steps, the rollback that reaches `ease_from`, and each one after it, also cuts the learning rate by
    `ease_factor` for as many steps and skips the data of `ease_skip` steps; the one that reaches `budget` retires the environment.
    """

    enabled: bool = True
    detectors: str | tuple[str, ...] = "default"
    window: int = 20
    samples_min: int = 10
    sigma: float = 6.0
    multiplier: float = 3.0
    strikes: int = 3
    lobotomy_history: float = 0.6
    lobotomy_tolerance: float = 0.065
    penalty: float = -10.0
    snapshot_every: int = 5
    snapshots_kept: int = 3
    probation: int = 3
    digest: str = "always"
    optimizer: str = "reset"
    rewarm_batches: int = 50
    live_seeds: str = "prune"
    rewind: bool = False
    budget: int = 4
    budget_window: int = 40
    ease_from: int = 3
    ease_factor: float = 0.5
    ease_skip: int = 10
    relapse_steps: int = 5
    grace_steps: int = 3

    def __post_init__(self) -> None:
        if isinstance(self.detectors, str) and self.detectors not in SUITES:
            raise ConfigError("governor.detectors", self.detectors, f"a suite ({', '.join(SUITES)}) or a list of names")
        unknown = [name for name in self.detector_names if name not in DETECTOR_NAMES]
        if unknown:
            raise ConfigError("governor.detectors", unknown, f"names out of {', '.join(DETECTOR_NAMES)}")
        # Every other detector compares numbers, and the statistics of losses need finite ones.
        if "non_finite" not in self.detector_names:
            raise ConfigError("governor.detectors", list(self.detectors), "non_finite among them")
        if self.optimizer not in OPTIMIZER_POLICIES:
            raise ConfigError("governor.optimizer", self.optimizer, f"one of {', '.join(OPTIMIZER_POLICIES)}")
        if self.live_seeds not in LIVE_SEED_POLICIES:
            raise ConfigError("governor.live_seeds", self.live_seeds, f"one of {', '.join(LIVE_SEED_POLICIES)}")
        if self.digest not in DIGEST_MOMENTS:
            raise ConfigError("governor.digest", self.digest, f"one of {', '.join(DIGEST_MOMENTS)}")
        # Below ten samples every statistic would be silently switched off.
        if self.samples_min < 10 or self.window < self.samples_min:
            raise ConfigError("governor.window", (self.window, self.samples_min), "window >= samples_min >= 10")
        for name in ("sigma", "multiplier", "lobotomy_history", "lobotomy_tolerance"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"governor.{name}", getattr(self, name), "a number above 0")
        for name in ("strikes", "snapshot_every", "snapshots_kept", "budget", "budget_window", "ease_from", "rewarm_batches"):
            if getattr(self, name) < 1:
                raise ConfigError(f"governor.{name}", getattr(self, name), "1 or more")
        if self.snapshots_kept < 2:
            raise ConfigError("governor.snapshots_kept", self.snapshots_kept, "at least 2: a trusted one and a candidate")
        if not 0.0 < self.ease_factor <= 1.0:
            raise ConfigError("governor.ease_factor", self.ease_factor, "a number above 0 and at most 1")
        for name in ("probation", "relapse_steps", "grace_steps", "ease_skip"):
            if getattr(self, name) < 0:
                raise ConfigError(f"governor.{name}", getattr(self, name), "0 or more")
        if not -math.inf < self.penalty < 0.0:
            raise ConfigError("governor.penalty", self.penalty, "a number below 0")

    @property
    def detector_names(self) -> tuple[str, ...]:
        """The detectors themselves, in the order in which they are asked."""
        return SUITES[self.detectors] if isinstance(self.detectors, str) else self.detectors
