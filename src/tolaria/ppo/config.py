"""How the controller learns."""

import math
from dataclasses import dataclass

from tolaria.errors import ConfigError


@dataclass(frozen=True, slots=True)
class PpoConfig:
    """PPO with the usual constants (Schulman et al. 2017), and the limits that keep a broken update from being kept.

    `target_kl`: an update ends before a step whose policy is further than 1.5 times this from the one that acted.
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
    target_kl: float = 0.02
    max_skipped_updates: int = 3
    entropy_floor: float = 0.01
    hidden_size: int = 64
    forced_value_weight: float = 0.2

    def __post_init__(self) -> None:
        for name in ("gamma", "gae_lambda"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"ppo.{name}", getattr(self, name), "a factor in [0, 1]")
        for name in ("clip", "lr", "max_grad_norm", "target_kl"):
            if not (getattr(self, name) > 0.0 and math.isfinite(getattr(self, name))):
                raise ConfigError(f"ppo.{name}", getattr(self, name), "a finite number above 0")
        for name in ("entropy_coef", "value_coef", "entropy_floor", "forced_value_weight"):
            if not (getattr(self, name) >= 0.0 and math.isfinite(getattr(self, name))):
                raise ConfigError(f"ppo.{name}", getattr(self, name), "a finite number, 0 or more")
        for name in ("epochs", "minibatches", "max_skipped_updates", "hidden_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"ppo.{name}", getattr(self, name), "1 or more")
