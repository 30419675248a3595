"""The running mean and spread of observations, by which they are brought to one scale.

They stand still during a rollout, so that what was decided is what is learnt from; rows with anything non-finite in them are not counted.
"""

import numpy as np
from numpy.typing import NDArray

# What a normalised observation is at most.
BOUND = 10.0
VARIANCE_MIN = 1e-8


class ObservationNormalizer:
    """Mean and variance of each of D features by Chan et al. 1983; before the first observation everything is left as it is."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean = np.zeros(size)
        self.variance = np.ones(size)

    def apply(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Observations [..., D] on one scale."""
        scaled = (observations - self.mean) / np.sqrt(self.variance + VARIANCE_MIN)
        return np.clip(scaled, -BOUND, BOUND).astype(np.float32)

    def observe(self, observations: NDArray[np.float32]) -> None:
        """Count the rows [B, D] of a rollout that is over."""
        rows = observations[np.isfinite(observations).all(axis=1)].astype(np.float64)
        if not len(rows):
            return
        total = self.count + len(rows)
        delta = rows.mean(axis=0) - self.mean
        squares = rows.var(axis=0) * len(rows) + (self.variance * self.count if self.count else 0.0)
        self.variance = (squares + delta**2 * self.count * len(rows) / total) / total
        self.mean = self.mean + delta * len(rows) / total
        self.count = total
