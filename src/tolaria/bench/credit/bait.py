"""The bait world: one slot, and decisions whose harm comes later. What it takes to learn from a death penalty, and nothing else.

A bait pays at once and collapses its host `delay` steps later. A safe seed, where there is one, pays less and is then committed;
`accident` is the chance that one collapses its host all the same. Nothing else pays. An episode is `episode_steps` steps long
whatever collapses; after a collapse the host is restored, the slot is empty, and a new life begins. Nothing shows the time, so that
nobody learns to bait where the harm would come after the end.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

BAIT = 0
SAFE = 1
EPISODE_STEPS = 40


@dataclass(frozen=True, slots=True)
class BaitConfig:
    """`choices`: how many actions there are; those that germinate nothing wait. `safe_reward` None: there is no safe seed.

    `hidden`: what is in the slot is not shown, so that no observation tells a collapse to come.
    """

    delay: int = 5
    choices: int = 8
    bait_reward: float = 0.5
    safe_reward: float | None = None
    accident: float = 0.0
    hidden: bool = True
    episode_steps: int = EPISODE_STEPS


class BaitWorld(gymnasium.Env[FloatArray, np.int64]):
    """Observations are a 1 and, unless hidden, the seed in the slot and its age.

    `germinations`, `baits` and `collapses` count over the whole life of the object.
    """

    def __init__(self, config: BaitConfig) -> None:
        self.config = config
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (4,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(config.choices)
        self.germinations = 0
        self.baits = 0
        self.collapses = 0
        self._clock = 0
        # Steps until the seed in the slot is committed or collapses its host; 0 is an empty slot.
        self._left = 0
        self._kind = BAIT
        self._doomed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[FloatArray, dict[str, Any]]:
        """A new episode, or a new life in one that a collapse did not end."""
        super().reset(seed=seed)
        if seed is not None or self._clock >= self.config.episode_steps:
            self._clock = 0
        self._left = 0
        return self._show(), {}

    def step(self, action: np.int64) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """A decision; a germination while the slot is taken is refused."""
        reward = self._germinate(int(action)) if self._left == 0 else 0.0
        self._clock += 1
        over = self._clock >= self.config.episode_steps
        if self._left > 0:
            self._left -= 1
            if self._left == 0 and self._doomed:
                self.collapses += 1
                return self._show(), reward, True, over, {"rollback": {"causes": [[self.config.delay - 1, 1.0]]}}
        return self._show(), reward, False, over, {}

    def _germinate(self, action: int) -> float:
        config = self.config
        if action == BAIT:
            self.baits += 1
            self._doomed = True
            reward = config.bait_reward
        elif action == SAFE and config.safe_reward is not None:
            self._doomed = bool(config.accident) and bool(self.np_random.random() < config.accident)
            reward = config.safe_reward
        else:
            return 0.0
        self.germinations += 1
        self._kind, self._left = action, config.delay
        return reward

    def _show(self) -> FloatArray:
        if self.config.hidden or self._left == 0:
            return np.array([1.0, 0.0, 0.0, 0.0], dtype=np.float32)
        kinds = [float(self._kind == BAIT), float(self._kind == SAFE)]
        return np.array([1.0, *kinds, 1.0 - self._left / self.config.delay], dtype=np.float32)
