"""What was measured of one host in one step. Numbers only; whoever judges them does not touch the host."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the predictions on the validation batch look like as a whole, without regard to the labels.

    `mean_entropy` is the entropy of the mean prediction and `mutual_information` that less the mean entropy of single
    predictions, in nats: zero where the answer does not depend on the input. `largest_share` is the part of the inputs
    that the most popular class gets.
    """

    mutual_information: float
    mean_entropy: float
    largest_share: float

    @property
    def sample_entropy(self) -> float:
        """The mean entropy of single predictions, in nats."""
        return self.mean_entropy - self.mutual_information

    def numbers(self) -> list[float]:
        """All of it, as JSON, in the order of the fields: asked for of every kept step in every step."""
        return [self.mutual_information, self.mean_entropy, self.largest_share]


@dataclass(frozen=True, slots=True)
class Vitals:
    """Losses are mean cross-entropy in nats, accuracy lies in [0, 1]; `gradient_norm` is None when nothing was trained.

    `nonfinite` names the places that hold NaN or Inf: "parameters", "buffers", "optimizer", "gradients".
    `outputs` is None where nobody looked at the predictions. `gated`: some gradient was kept from the weights.
    """

    step: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    gradient_norm: float | None
    nonfinite: tuple[str, ...] = ()
    outputs: Outputs | None = None
    gated: bool = False

    @property
    def finite(self) -> bool:
        """Whether every number and every place that was looked at is finite."""
        numbers = (self.train_loss, self.val_loss, self.val_accuracy, self.gradient_norm or 0.0)
        return not self.nonfinite and all(math.isfinite(number) for number in numbers)
