"""How an agent practises in an environment that is not ours."""

import math
from dataclasses import dataclass

from tolaria.errors import ConfigError
from tolaria.policy.config import NetworkConfig
from tolaria.ppo.config import PpoConfig

ROLLBACKS = ("penalize", "clear", "truncate")


@dataclass(frozen=True, slots=True)
class PracticeConfig:
    """`envs` copies of an environment give `rollout_steps` rows each to one update.

    `segment_steps`: a network that remembers is unrolled over so many steps at a time, from the state it had there; None is the
    whole rollout. `normalize_observations`: by a running mean and spread, which stand still during a rollout. `penalty` is
    owed for a step that ended in a rollback; `ppo` says who bears it. `rollback`: "penalize"; and, as controls of the credit
    experiment and for no other use, "clear", which forgets what that copy did in this rollout, and "truncate", which takes the
    rollback for a time limit.
    """

    envs: int = 8
    rollout_steps: int = 128
    segment_steps: int | None = None
    normalize_observations: bool = False
    penalty: float = -10.0
    rollback: str = "penalize"
    network: NetworkConfig = NetworkConfig()
    ppo: PpoConfig = PpoConfig()

    def __post_init__(self) -> None:
        for name in ("envs", "rollout_steps", "segment_steps"):
            value = getattr(self, name)
            if not (value is None or value >= 1):
                raise ConfigError(f"practice.{name}", value, "1 or more")
        if not math.isfinite(self.penalty):
            raise ConfigError("practice.penalty", self.penalty, "a finite number")
        if self.rollback not in ROLLBACKS:
            raise ConfigError("practice.rollback", self.rollback, f"one of {', '.join(ROLLBACKS)}")

    @property
    def rows(self) -> int:
        """How many rows one update learns from."""
        return self.envs * self.rollout_steps
