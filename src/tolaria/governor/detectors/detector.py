"""What a detector is: a pure function of vitals and the loss window, with its limits fixed at construction."""

import math
from dataclasses import dataclass
from typing import Protocol

from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


@dataclass(frozen=True, slots=True)
class Limits:
    """What detectors are built from: the settings, and the losses that only the task knows (nats)."""

    config: GovernorConfig
    chance_loss: float
    explosion_loss: float
    prior_loss: float

    def __post_init__(self) -> None:
        for name in ("chance_loss", "explosion_loss", "prior_loss"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ConfigError(f"governor.{name}", getattr(self, name), "a loss above 0, which only the task knows")


class Detector(Protocol):
    """Looks at one step of one host. How to add one stands in this folder's table."""

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """What is wrong, or None; `window` does not hold this step yet."""
        ...
