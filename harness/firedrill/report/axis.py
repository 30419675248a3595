"""Where a value lies on a drawing, and which values deserve a line: arithmetic only."""

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

# From this ratio of the largest to the smallest value on, a linear axis would press the small ones flat.
LOG_FROM = 50.0
TICKS_MAX = 6
LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values from `low` to `high` onto pixels from `start` to `end`; not finite values have no place."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """The pixel of a finite value."""
        assert math.isfinite(value)
        low, high, at = (math.log10(x) for x in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        # Halves before subtracting, because the distance between two finite floats need not be finite.
        return self.start + (self.end - self.start) * ((at / 2 - low / 2) / (high / 2 - low / 2))

    def ticks(self) -> tuple[float, ...]:
        """Round values inside the axis, ascending."""
        return tuple(_decades(self.low, self.high) if self.log else _round_steps(self.low, self.high))


def value_axis(values: Iterable[float], start: float, end: float) -> Axis:
    """An axis for finite values; logarithmic where all are positive and the range asks for it."""
    found = list(values)
    if not found:
        return Axis(0.0, 1.0, start, end)
    low, high = min(found), max(found)
    if low > 0 and high / low >= LOG_FROM:
        return Axis(low / 1.2, min(high * 1.2, LARGEST), start, end, log=True)
    margin = (high / 20 - low / 20) or abs(high) / 10 or 1.0
    bottom = 0.0 if 0 <= low < high / 3 else max(low - margin, -LARGEST)
    return Axis(bottom, min(high + margin, LARGEST), start, end)


def step_axis(steps: Iterable[int], start: float, end: float) -> Axis:
    """An axis for whole steps, with half a step of air on either side."""
    found = list(steps) or [0]
    return Axis(min(found) - 0.5, max(found) + 0.5, start, end)


def whole_ticks(axis: Axis) -> tuple[int, ...]:
    """Round whole numbers inside the axis."""
    return tuple(sorted({int(tick) for tick in axis.ticks() if tick == int(tick)}))


def short(value: float) -> str:
    """A number as a tick says it: 0.05, 2.5, 300, 1e+06."""
    return f"{value:.3g}"


def _round_steps(low: float, high: float) -> Iterator[float]:
    raw = max(high / TICKS_MAX - low / TICKS_MAX, 1e-300)
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw * 0.999)
    first = math.ceil(low / step)
    # Multiplied and rounded, not summed, so that 0.3 is 0.3 and not 0.30000000000000004.
    ticks = (float(f"{step * (first + count):.12g}") for count in range(2 * TICKS_MAX))
    yield from takewhile(lambda tick: tick <= high, ticks)


def _decades(low: float, high: float) -> Iterator[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / TICKS_MAX))
    factors = (1.0, 2.0, 5.0) if last - first <= 2 else (1.0, 3.0) if last - first <= 3 else (1.0,)
    for power in range(first, min(last, 308) + 1, stride):
        yield from (factor * 10.0**power for factor in factors if low <= factor * 10.0**power <= high)
