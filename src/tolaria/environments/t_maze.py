"""The T-maze (Bakker 2001, "Reinforcement learning with long short-term memory"): what is seen once decides much later.

At the start of a corridor a sign says where to turn at its end. It is not seen again.
"""

from enum import IntEnum
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tolaria.errors import ConfigError


class Direction(IntEnum):
    """What can be done; the corridor leads east."""

    NORTH = 0
    EAST = 1
    SOUTH = 2
    WEST = 3


# What walking into a wall costs.
BUMP = -0.1


class TMaze(gymnasium.Env[NDArray[np.float32], np.int64]):
    """`corridor` steps to the junction, then 1 for the right turn and -1 for the wrong one; without memory the best is 0.

    An observation says: sign for north, sign for south, corridor, junction. After five times the way there is a time limit.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium declares it as a variable of the instance

    def __init__(self, corridor: int = 10) -> None:
        if corridor < 1:
            raise ConfigError("corridor", corridor, "1 or more")
        self.corridor = corridor
        self.observation_space = spaces.Box(0.0, 1.0, (4,), np.float32)
        self.action_space = spaces.Discrete(len(Direction), dtype=np.int64)
        self._goal = Direction.NORTH
        self._place = 0
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A new sign."""
        super().reset(seed=seed)
        self._goal = Direction.NORTH if self.np_random.integers(2) else Direction.SOUTH
        self._place = self._step = 0
        return self._look(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Walk; whoever bumps into a wall stays."""
        direction = Direction(int(action))
        self._step += 1
        turned = self._place == self.corridor and direction in {Direction.NORTH, Direction.SOUTH}
        if turned:
            return self._look(), 1.0 if direction is self._goal else -1.0, True, False, {}
        before = self._place
        self._place = min(max(before + {Direction.EAST: 1, Direction.WEST: -1}.get(direction, 0), 0), self.corridor)
        reward = BUMP if self._place == before else 0.0
        return self._look(), reward, False, self._step >= 5 * (self.corridor + 1), {}

    def _look(self) -> NDArray[np.float32]:
        # The sign hangs at the first place and is out of sight after the first step, even for whoever comes back.
        sign = self._step == 0
        seen = (
            sign and self._goal is Direction.NORTH,
            sign and self._goal is Direction.SOUTH,
            self._place < self.corridor,
            self._place == self.corridor,
        )
        return np.array(seen, dtype=np.float32)
