"""What is known of the clean steps of one host, worked out once a step however many detectors ask for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from tolaria.vitals import Outputs

# The level of a loss is the median of so many.
LEVEL = 10


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and population standard deviation of the clean window, in nats."""

    mean: float
    spread: float
    samples: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One clean step: loss in nats, accuracy in [0, 1], and what is known of the predictions."""

    loss: float
    accuracy: float
    outputs: Outputs | None


class Clean:
    """The readings of clean steps, oldest first, and what follows from them; never changed, so that nothing is ever out of date."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.readings = tuple(readings)

    @cached_property
    def losses(self) -> tuple[float, ...]:
        """In nats."""
        return tuple([reading.loss for reading in self.readings])

    @cached_property
    def accuracies(self) -> tuple[float, ...]:
        """In [0, 1]."""
        return tuple([reading.accuracy for reading in self.readings])

    @cached_property
    def outputs(self) -> tuple[Outputs, ...]:
        """What is known of the predictions; fewer than the readings where nobody looked at some."""
        return tuple([reading.outputs for reading in self.readings if reading.outputs is not None])

    @cached_property
    def statistics(self) -> Statistics | None:
        """Of the losses; None where there are none."""
        if not self.readings:
            return None
        mean = math.fsum(self.losses) / len(self.losses)
        variance = math.fsum([(loss - mean) ** 2 for loss in self.losses]) / len(self.losses)
        return Statistics(mean, math.sqrt(variance), len(self.losses))

    @cached_property
    def median_loss(self) -> float:
        """In nats; there must be a reading."""
        return median(self.losses)

    @cached_property
    def median_information(self) -> float:
        """Mutual information of input and answer, in nats; somebody must have looked at the predictions."""
        return median([outputs.mutual_information for outputs in self.outputs])

    @cached_property
    def level(self) -> float | None:
        """The median of the latest ten losses; None before there are ten."""
        return median(self.losses[-LEVEL:]) if len(self.losses) >= LEVEL else None
