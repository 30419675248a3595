"""Counting on where most words are illegal: a test of masks, which an agent without them fails.

A number is shown, and the next one is to be said. Of 64 words 4 are legal in each step, the right one among them.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

WORDS = 64
LEGAL = 4
STEPS = 8


class MaskedCounting(gymnasium.Env[np.int64, np.int64]):
    """Eight numbers, 1 for each that is said right, so at most 8; any legal word at random gets 2. An illegal word ends the episode."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium declares it as a variable of the instance

    def __init__(self) -> None:
        self.observation_space = spaces.Discrete(WORDS, dtype=np.int64)
        self.action_space = spaces.Discrete(WORDS, dtype=np.int64)
        self._number = 0
        self._step = 0
        self._mask = np.ones(WORDS, dtype=np.bool_)

    def action_masks(self) -> NDArray[np.bool_]:
        """The four words that are legal now."""
        return self._mask.copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.int64, dict[str, Any]]:
        """Some number, to count on from."""
        super().reset(seed=seed)
        self._step = 0
        self._number = int(self.np_random.integers(WORDS))
        self._draw()
        return np.int64(self._number), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Say a word; the count goes on whatever it was."""
        word, right = int(action), (self._number + 1) % WORDS
        illegal = not self._mask[word]
        self._step += 1
        self._number = right
        self._draw()
        return np.int64(self._number), float(word == right), illegal or self._step == STEPS, False, {}

    def _draw(self) -> None:
        right = (self._number + 1) % WORDS
        # Any three of the others: a place among all words but the right one.
        wrong = (right + 1 + self.np_random.choice(WORDS - 1, LEGAL - 1, replace=False)) % WORDS
        self._mask = np.zeros(WORDS, dtype=np.bool_)
        self._mask[[right, *wrong]] = True
