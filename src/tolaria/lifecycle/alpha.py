"""How strongly a seed is mixed into its host: a ramp from one alpha to another, one notch a step."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum


class Curve(StrEnum):
    """The shape of a ramp over its progress t in [0, 1]."""

    LINEAR = "linear"
    COSINE = "cosine"
    SIGMOID_GENTLE = "sigmoid_gentle"
    SIGMOID = "sigmoid"
    SIGMOID_SHARP = "sigmoid_sharp"


STEEPNESS = {Curve.SIGMOID_GENTLE: 6.0, Curve.SIGMOID: 12.0, Curve.SIGMOID_SHARP: 24.0}


@dataclass(frozen=True, slots=True)
class Ramp:
    """A monotone way from `start` to `target` in `steps_total` steps; the only writer of a slot's alpha."""

    start: float = 0.0
    target: float = 0.0
    steps_total: int = 0
    steps_done: int = 0
    curve: Curve = Curve.LINEAR

    def __post_init__(self) -> None:
        assert 0.0 <= self.start <= 1.0, self.start
        assert 0.0 <= self.target <= 1.0, self.target
        assert 0 <= self.steps_done <= self.steps_total, (self.steps_done, self.steps_total)

    @property
    def finished(self) -> bool:
        """Whether alpha stands at its target."""
        return self.steps_done >= self.steps_total

    @property
    def alpha(self) -> float:
        """The strength now, in [0, 1]; exactly the target at the end."""
        if self.finished:
            return self.target
        return self.start + (self.target - self.start) * shape(self.curve, self.steps_done / self.steps_total)

    def ticked(self) -> "Ramp":
        """The ramp one step later."""
        return self if self.finished else replace(self, steps_done=self.steps_done + 1)

    def retargeted(self, target: float, steps: int, curve: Curve) -> "Ramp":
        """A new ramp that begins where this one stands; zero steps jump."""
        return Ramp(start=self.alpha, target=target, steps_total=steps, curve=curve)


def shape(curve: Curve, progress: float) -> float:
    """The curve's value at progress t in [0, 1]: 0 at 0, 1 at 1, monotone."""
    assert 0.0 <= progress <= 1.0, progress
    if curve is Curve.LINEAR:
        return progress
    if curve is Curve.COSINE:
        return 0.5 * (1.0 - math.cos(math.pi * progress))
    # tanh cannot overflow, however steep; the logistic function is its shifted half.
    steepness = STEEPNESS[curve]
    span = math.tanh(steepness / 4.0)
    return 0.5 * (1.0 + math.tanh(steepness / 2.0 * (progress - 0.5)) / span)
