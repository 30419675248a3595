"""What the governor remembers of vitals: a clean window for statistics, and a flagged one for the post-mortem.

Anomalies never enter the clean window, so they cannot poison its statistics; they are kept beside it, so that a
report can show what led to a rollback.
"""

import math
import statistics
from collections import deque
from dataclasses import astuple, dataclass
from typing import Any

from tolaria.vitals import Outputs, Vitals

# So many of the latest losses, flagged or not, are kept for the report.
RECENT = 20
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


class LossWindow:
    """The validation losses of one host, and what was measured with the clean ones."""

    def __init__(self, window: int) -> None:
        self._clean: deque[Reading] = deque(maxlen=window)
        self._recent: deque[tuple[float | None, bool]] = deque(maxlen=RECENT)
        self._best: float | None = None

    def add(self, vitals: Vitals, healthy: bool) -> None:
        """Remember a step; only a healthy one counts in the statistics."""
        loss = vitals.val_loss
        self._recent.append((loss if math.isfinite(loss) else None, healthy))
        if healthy:
            assert math.isfinite(loss), loss
            self._clean.append(Reading(loss, vitals.val_accuracy, vitals.outputs))
            if len(self._clean) >= LEVEL:
                level = statistics.median(reading.loss for reading in list(self._clean)[-LEVEL:])
                self._best = level if self._best is None else min(self._best, level)

    def begin_anew(self) -> None:
        """A fresh baseline: the statistics begin from nothing, what is kept for the report stays."""
        self._clean.clear()
        self._best = None

    def accept(self) -> None:
        """A level that lasts is the new one: the statistics begin from nothing, but the best level is not forgotten."""
        self._clean.clear()

    def statistics(self) -> Statistics | None:
        """Of the clean window; None while it is empty."""
        if not self._clean:
            return None
        mean = math.fsum(self.losses) / len(self._clean)
        variance = math.fsum((loss - mean) ** 2 for loss in self.losses) / len(self._clean)
        return Statistics(mean, math.sqrt(variance), len(self._clean))

    @property
    def losses(self) -> tuple[float, ...]:
        """The clean losses, oldest first."""
        return tuple(reading.loss for reading in self._clean)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The accuracies of the clean steps, oldest first."""
        return tuple(reading.accuracy for reading in self._clean)

    @property
    def outputs(self) -> tuple[Outputs, ...]:
        """What is known of the predictions of the clean steps, oldest first."""
        return tuple(reading.outputs for reading in self._clean if reading.outputs is not None)

    @property
    def best(self) -> float | None:
        """The lowest level of this life: median of ten clean losses in a row, in nats; None before there were ten."""
        return self._best

    @property
    def recent(self) -> tuple[float | None, ...]:
        """The latest losses, oldest first, anomalies among them; None where a loss was not finite."""
        return tuple(loss for loss, _ in self._recent)

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON."""
        clean = [[r.loss, r.accuracy, None if r.outputs is None else list(astuple(r.outputs))] for r in self._clean]
        return {"clean": clean, "recent": [list(pair) for pair in self._recent], "best": self._best}

    def restore(self, facts: dict[str, Any]) -> None:
        """Back to what `facts` recorded."""
        readings = (Reading(loss, accuracy, None if outputs is None else Outputs(*outputs)) for loss, accuracy, outputs in facts["clean"])
        self._clean = deque(readings, maxlen=self._clean.maxlen)
        self._recent = deque(((loss, bool(healthy)) for loss, healthy in facts["recent"]), maxlen=RECENT)
        self._best = facts["best"]
