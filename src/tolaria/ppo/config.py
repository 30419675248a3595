"""How the controller learns."""

import math
from dataclasses import dataclass

from tolaria.errors import ConfigError

PENALTY_ATTRIBUTIONS = ("split", "last", "cause")
PENALTY_MODES = ("fixed", "return_std", "lagrangian")
ROLLBACK_TRANSITIONS = ("terminal", "continue")


@dataclass(frozen=True, slots=True)
class PenaltyConfig:
    """How much of the penalty that the governor owes is charged.

    `mode`: "fixed" charges what is owed; "return_std" that times the running spread of raw discounted returns, for rewards that
    are not normalized; "lagrangian" that times a multiplier, which rises by `multiplier_lr` a rollout for each whole `rate_max`
    (collapses a row) above the allowed one and falls below it. Both factors stay between `factor_min` and `factor_max`.
    """

    mode: str = "fixed"
    factor_min: float = 0.05
    factor_max: float = 10.0
    rate_max: float = 0.01
    multiplier_lr: float = 0.05

    def __post_init__(self) -> None:
        if self.mode not in PENALTY_MODES:
            raise ConfigError("ppo.penalty.mode", self.mode, f"one of {', '.join(PENALTY_MODES)}")
        for name in ("factor_min", "factor_max", "rate_max", "multiplier_lr"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"ppo.penalty.{name}", getattr(self, name), "a finite number above 0")
        # The price begins at 1 and may not be 0.
        if not self.factor_min <= 1.0 <= self.factor_max:
            raise ConfigError("ppo.penalty.factor_min", (self.factor_min, self.factor_max), "at most 1, and factor_max at least 1")


@dataclass(frozen=True, slots=True)
class PpoConfig:
    """PPO with the usual constants (Schulman et al. 2017), and the limits that keep a broken update from being kept.

    `target_kl`: an update ends before a step whose policy is further than 1.5 times this from the one that acted; None is no limit.
    `lr_decay_updates`, `clip_decay_updates`: over so many updates they fall to 0 on a straight line; None leaves them as they are.
    `shuffle`: minibatches are drawn at random, for a network without memory row by row; otherwise they are neighbouring environments.
    `normalize_rewards`: they are divided by the running spread of returns.
    `warm_start`: so many episodes of the heuristic are watched and learnt from, over `warm_start_epochs`, before the first rollout.
    `max_skipped_updates`: so many skipped updates in a row stop the run.
    `entropy_floor`: nats; an update that takes the policy's mean entropy from above to below it is undone. 0 is no floor.
    `op_floor`: no legal operation is ever less probable, so that none starves because it was rarely right.
    `forced_value_weight`: how much a row without a decision counts in the value loss.
    `penalty_attribution`: which rows bear a death penalty: "last", the row that collapsed; "cause", the latest executed decisions
    on the seeds that the rollback pruned; "split", half and half. `rollback_transition`: "terminal" ends the segment at a
    rollback; "continue" goes on in it, and the row that collapsed expects the restored host's value.
    """

    gamma: float = 0.99
    # Below .95 the credit of a late death does not reach its cause, and the controller learns never to grow.
    gae_lambda: float = 0.95
    clip: float = 0.2
    lr: float = 3e-4
    epochs: int = 4
    minibatches: int = 1
    entropy_coef: float = 0.01
    value_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = 0.02
    max_skipped_updates: int = 3
    entropy_floor: float = 0.01
    # Five operations beside WAIT leave it 0.995 at most.
    op_floor: float = 1e-3
    hidden_size: int = 64
    forced_value_weight: float = 0.2
    # On a long delay or with a short trace, "last" relapses or teaches never to grow; see reports/credit.
    penalty_attribution: str = "split"
    rollback_transition: str = "terminal"
    penalty: PenaltyConfig = PenaltyConfig()
    lr_decay_updates: int | None = None
    clip_decay_updates: int | None = None
    shuffle: bool = False
    normalize_rewards: bool = True
    warm_start: int = 0
    warm_start_epochs: int = 150

    def __post_init__(self) -> None:
        for name in ("gamma", "gae_lambda"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"ppo.{name}", getattr(self, name), "a factor in [0, 1]")
        for name in ("clip", "lr", "max_grad_norm", "target_kl"):
            value = getattr(self, name)
            if not (value is None or (value > 0.0 and math.isfinite(value))):
                raise ConfigError(f"ppo.{name}", value, "a finite number above 0")
        if self.warm_start < 0:
            raise ConfigError("ppo.warm_start", self.warm_start, "a number of episodes, 0 or more")
        for name in ("entropy_coef", "value_coef", "entropy_floor", "forced_value_weight"):
            if not (getattr(self, name) >= 0.0 and math.isfinite(getattr(self, name))):
                raise ConfigError(f"ppo.{name}", getattr(self, name), "a finite number, 0 or more")
        # Of six operations each could have it.
        if not 0.0 <= self.op_floor < 1.0 / 6.0:
            raise ConfigError("ppo.op_floor", self.op_floor, "a probability below one sixth")
        counts = (
            "epochs",
            "minibatches",
            "max_skipped_updates",
            "hidden_size",
            "lr_decay_updates",
            "clip_decay_updates",
            "warm_start_epochs",
        )
        for name in counts:
            value = getattr(self, name)
            if not (value is None or value >= 1):
                raise ConfigError(f"ppo.{name}", value, "1 or more")
        if self.penalty_attribution not in PENALTY_ATTRIBUTIONS:
            raise ConfigError("ppo.penalty_attribution", self.penalty_attribution, f"one of {', '.join(PENALTY_ATTRIBUTIONS)}")
        if self.rollback_transition not in ROLLBACK_TRANSITIONS:
            raise ConfigError("ppo.rollback_transition", self.rollback_transition, f"one of {', '.join(ROLLBACK_TRANSITIONS)}")

    def lr_at(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        return self.lr * _left(update, self.lr_decay_updates)

    def clip_at(self, update: int) -> float:
        """How far the ratio may go in an update, counted from 0."""
        return self.clip * _left(update, self.clip_decay_updates)


def _left(update: int, updates: int | None) -> float:
    return 1.0 if updates is None else max(0.0, 1.0 - update / updates)
