"""How a host is trained inside one environment, and what its controller is rewarded for."""

import math
from dataclasses import dataclass

from tolaria.errors import ConfigError

# In words here, because configurations are read without torch; `seed_objective.py` says what they mean.
OBJECTIVES = ("shadow", "regression")
OPTIMIZERS = ("sgd", "adam", "adamw")
REWARD_MODES = ("progress", "contribution", "sparse")
# How the hosts of a run are trained in one step; `pool.py` says what that is.
BACKENDS = ("loop", "stacked", "graphs")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """The inner training loop. `learning_rate` None means the task's own; seeds learn at `seed_lr_factor` times it.

    `warmup_batches`: a new optimizer's learning rate rises linearly over so many batches. `gate`: fused optimizers that
    leave out a batch whose gradient is not finite, on the device; left out or not, a batch counts for the warm-up.
    `seed_objective`: what an isolated seed learns, see `seed_objective.py`; `regression_reach` is how far along each sample's gradient
    it is to change the features. A seed measured above `seed_magnitude_max` of its host's features is also pulled back below it.
    """

    batches_per_step: int = 10
    optimizer: str = "sgd"
    learning_rate: float | None = None
    seed_lr_factor: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    grad_norm_max: float = 1.0
    warmup_batches: int = 10
    gate: bool = False
    seed_objective: str = "shadow"
    regression_reach: float = 0.3
    seed_magnitude_max: float = 1.0

    def __post_init__(self) -> None:
        if self.batches_per_step < 1:
            raise ConfigError("training.batches_per_step", self.batches_per_step, "at least 1 batch")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError("training.optimizer", self.optimizer, f"one of {', '.join(OPTIMIZERS)}")
        if self.learning_rate is not None and not 0.0 < self.learning_rate < math.inf:
            raise ConfigError("training.learning_rate", self.learning_rate, "a finite number above 0")
        if self.seed_objective not in OBJECTIVES:
            raise ConfigError("training.seed_objective", self.seed_objective, f"one of {', '.join(OBJECTIVES)}")
        for name in ("regression_reach", "seed_magnitude_max"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"training.{name}", getattr(self, name), "a finite number above 0")
        if not 0.0 <= self.momentum < 1.0:
            raise ConfigError("training.momentum", self.momentum, "a number in [0, 1)")
        if not self.grad_norm_max > 0.0:
            raise ConfigError("training.grad_norm_max", self.grad_norm_max, "a number above 0")
        for name in ("seed_lr_factor", "weight_decay"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"training.{name}", getattr(self, name), "a finite number, 0 or more")
        if self.warmup_batches < 0:
            raise ConfigError("training.warmup_batches", self.warmup_batches, "a number of batches, 0 or more")


@dataclass(frozen=True, slots=True)
class AttributionConfig:
    """What is asked about committed seeds. Every `reablate_every` steps of an episode each fossil's contribution is measured anew.

    The reward mode `contribution` pays for what it is at the end of the episode, and so has it measured there, too.

    `commit_alphas`: before a seed is committed these shares of its alpha are tried, and one that serves better is committed;
    none at all searches nothing. `shapley_pairs` of orders are drawn at the end of an episode with more than four seeds.
    """

    reablate_every: int = 10
    commit_alphas: tuple[float, ...] = (0.25, 0.5, 0.75)
    shapley_pairs: int = 20

    def __post_init__(self) -> None:
        for name in ("reablate_every", "shapley_pairs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"attribution.{name}", getattr(self, name), "1 or more")
        if not all(0.0 < share < 1.0 for share in self.commit_alphas):
            raise ConfigError("attribution.commit_alphas", self.commit_alphas, "shares of the present alpha, in (0, 1)")


@dataclass(frozen=True, slots=True)
class Recovery:
    """How far back a rollback goes.

    `live_seeds`: experimental seeds come back with the host instead of being pruned. `rewind`: so does everything that else
    goes on as if nothing had happened: data, slots at rest, generations, the course of the episode. `rewarm_batches`: over so
    many batches the learning rate rises again after a rollback that warms up anew.
    """

    live_seeds: bool = False
    rewind: bool = False
    rewarm_batches: int = 50


# As far back as a rollback goes unless more is asked for.
USUAL = Recovery()


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """`progress` pays every step for a smaller loss, `sparse` only the last one for the accuracy that was reached.

    `contribution` pays as `progress` does, and also what seeds contribute: `contribution_weight` for each whole accuracy that they
    are worth together, and a `commit_bonus` for each that is committed.

    `rent` is charged a step for the part of all parameters that was added, which is below 1 however small the host is;
    `action_cost` for each executed decision that is not WAIT. Both are as low as it takes for fixed controllers to be paid in the
    order of the accuracy that they reach (`tolaria bench grow`); with twenty times that rent waiting would be the best on digits_impaired.
    """

    mode: str = "progress"
    rent: float = 0.0006
    action_cost: float = 0.0005
    contribution_weight: float = 1.0
    commit_bonus: float = 0.02

    def __post_init__(self) -> None:
        if self.mode not in REWARD_MODES:
            raise ConfigError("reward.mode", self.mode, f"one of {', '.join(REWARD_MODES)}")
        # Written so that NaN is refused: it would make every reward one.
        for name in ("rent", "action_cost", "contribution_weight", "commit_bonus"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"reward.{name}", getattr(self, name), "a finite number, 0 or more")
