"""A condition on a number that was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from firedrill.faults.fault import Unfit

if TYPE_CHECKING:
    from tolaria.telemetry.run_events import StepFinished

# What a metric can be at all.
RANGES: dict[str, tuple[float, float]] = {
    "train_loss": (0.0, math.inf),
    "val_loss": (0.0, math.inf),
    "val_accuracy": (0.0, 1.0),
    "gradient_norm": (0.0, math.inf),
    "reward": (-math.inf, math.inf),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A metric of a finished step lies above or below a number, both excluded; what is not finite does neither."""

    metric: Literal["train_loss", "val_loss", "val_accuracy", "gradient_norm", "reward"]
    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError("say exactly one of above and below")
        least, most = RANGES[self.metric]
        if self.above is not None and not self.above < most:
            raise Unfit("above", f"{self.metric} is never above {self.above:g}")
        if self.below is not None and not self.below > least:
            raise Unfit("below", f"{self.metric} is never below {self.below:g}")

    def __str__(self) -> str:
        return f"{self.metric} above {self.above:g}" if self.above is not None else f"{self.metric} below {self.below:g}"

    def holds(self, step: StepFinished) -> bool:
        """Whether it is so at the end of a step."""
        value = getattr(step, self.metric)
        if value is None or not math.isfinite(value):
            return False
        return bool(value > self.above) if self.above is not None else bool(value < self.below)
