"""A reward is no number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from firedrill.faults.fault import Fault, Scene, Strike, digest
from tolaria.seams import REWARD_READY


@dataclass(frozen=True, slots=True)
class RewardNan(Fault):
    """Imitates a reward function that divided by zero: the host is well, and the reward of its step is NaN."""

    kind: ClassVar[str] = "reward.nan"
    phases: ClassVar[tuple[str, ...]] = (REWARD_READY.name,)

    def strike(self, value: float, scene: Scene) -> float:
        """NaN, whatever the reward was."""
        scene.witness(Strike("reward", 1, digest(value), digest(math.nan), str(math.nan)))
        return math.nan
