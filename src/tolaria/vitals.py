"""What was measured of one host in one step. Numbers only; whoever judges them does not touch the host."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vitals:
    """Losses are mean cross-entropy in nats, accuracy lies in [0, 1]; `gradient_norm` is None when nothing was trained.

    `nonfinite` names the places that hold NaN or Inf: "parameters", "buffers", "optimizer", "gradients".
    """

    step: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    gradient_norm: float | None
    nonfinite: tuple[str, ...] = ()

    @property
    def finite(self) -> bool:
        """Whether every number and every place that was looked at is finite."""
        numbers = (self.train_loss, self.val_loss, self.val_accuracy, self.gradient_norm or 0.0)
        return not self.nonfinite and all(math.isfinite(number) for number in numbers)
