"""Environments whose every number is known beforehand."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from tolaria.policy.config import NetworkConfig
from tolaria.ppo.config import PpoConfig
from tolaria.practice.config import PracticeConfig

# The step before is to blame.
BLAMED = {"causes": [[1, 1.0]]}


class Counting(gymnasium.Env[Any, Any]):
    """Shows how many steps the episode has had, and in which episode it is; reward is the action, episodes last `length` steps.

    `ends`: "terminated", "truncated", "both", or "rollback", which is terminated and says so by what is `told`.
    """

    def __init__(
        self, length: int = 3, ends: str = "terminated", masked: bool = False, by_info: bool = False, told: object = BLAMED
    ) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(4)
        self.length, self.ends, self.by_info, self.told = length, ends, by_info, told
        if masked:
            self.action_masks = lambda: np.array([False, True, False, self.count % 2 == 0])
        self.count, self.episode = 0, -1

    def _show(self) -> np.ndarray:
        return np.array([self.count, self.episode], dtype=np.float32)

    def _info(self) -> dict[str, Any]:
        return {"action_mask": np.array([1, 0, 0, 0], dtype=np.int8)} if self.by_info else {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.count, self.episode = 0, self.episode + 1
        return self._show(), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.count += 1
        over = self.count == self.length
        info = self._info()
        if over and self.ends == "rollback":
            info["rollback"] = self.told
        terminated = over and self.ends != "truncated"
        return self._show(), float(action), terminated, over and self.ends in {"truncated", "both"}, info


@pytest.fixture(scope="session")
def counting() -> Callable[..., Counting]:
    return Counting


@pytest.fixture
def small() -> Callable[..., PracticeConfig]:
    """Two copies, eight steps, a tiny network; `memory`, `ppo` and what else a `PracticeConfig` has may be said otherwise."""

    def build(memory: str = "none", ppo: PpoConfig | None = None, **other: Any) -> PracticeConfig:
        network = NetworkConfig(widths=(8,), memory=memory, memory_size=8)
        return PracticeConfig(**{"envs": 2, "rollout_steps": 8, "network": network, "ppo": ppo or PpoConfig(epochs=2), **other})

    return build
