"""How the controller learns."""

import math
from dataclasses import dataclass

from tolaria.errors import ConfigError


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
    `forced_value_weight`: how much a row without a decision counts in the value loss.
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
    hidden_size: int = 64
    forced_value_weight: float = 0.2
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
        for name in ("epochs", "minibatches", "max_skipped_updates", "hidden_size", "lr_decay_updates", "clip_decay_updates", "warm_start_epochs"):
            value = getattr(self, name)
            if not (value is None or value >= 1):
                raise ConfigError(f"ppo.{name}", value, "1 or more")

    def lr_at(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        return self.lr * _left(update, self.lr_decay_updates)

    def clip_at(self, update: int) -> float:
        """How far the ratio may go in an update, counted from 0."""
        return self.clip * _left(update, self.clip_decay_updates)


def _left(update: int, updates: int | None) -> float:
    return 1.0 if updates is None else max(0.0, 1.0 - update / updates)
