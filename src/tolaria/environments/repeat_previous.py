"""Repeat Previous, as in POPGym (Morad et al. 2023): name the suit of the card that was dealt some cards ago."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from tolaria.errors import ConfigError

SUITS = 4
CARDS = 52
DECK = np.repeat(np.arange(SUITS), CARDS // SUITS)


class RepeatPrevious(gymnasium.Env[np.int64, np.int64]):
    """A deck is dealt card by card; from the k-th card on, the suit of the card k - 1 before the newest is asked for.

    All right is 1, all wrong -1, chance -0.5.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium declares it as a variable of the instance

    def __init__(self, k: int = 4) -> None:
        if not 1 <= k < CARDS:
            raise ConfigError("k", k, f"a number of cards from 1 to {CARDS - 1}")
        self.k = k
        self.observation_space = spaces.Discrete(SUITS, dtype=np.int64)
        self.action_space = spaces.Discrete(SUITS, dtype=np.int64)
        self._deck = DECK
        self._dealt = 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.int64, dict[str, Any]]:
        """Shuffle, and deal the first card."""
        super().reset(seed=seed)
        self._deck = self.np_random.permutation(DECK)
        self._dealt = 1
        return self._deck[0], {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Name a suit, and be dealt the next card; the last one ends the episode, as a time limit would."""
        reward = 0.0
        if self._dealt >= self.k:
            right = int(action) == self._deck[self._dealt - self.k]
            reward = (1.0 if right else -1.0) / (CARDS - self.k)
        self._dealt += 1
        return self._deck[self._dealt - 1], reward, False, self._dealt == CARDS, {}
