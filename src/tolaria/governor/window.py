"""What the governor remembers of vitals: a clean window for statistics, and a flagged one for the post-mortem.

Anomalies never enter the clean window, so they cannot poison its statistics; they are kept beside it, so that a
report can show what led to a rollback.
"""

import math
from collections import deque
from typing import Any

from tolaria.governor.clean import Clean, Reading, Statistics
from tolaria.vitals import Outputs, Vitals

# So many of the latest losses, flagged or not, are kept for the report.
RECENT = 20


class LossWindow:
    """The validation losses of one host, and what was measured with the clean ones."""

    def __init__(self, window: int) -> None:
        self._size = window
        self.clean = Clean(())
        self._recent: deque[tuple[float | None, bool]] = deque(maxlen=RECENT)
        self._best: float | None = None

    def add(self, vitals: Vitals, healthy: bool) -> None:
        """Remember a step; only a healthy one counts in the statistics."""
        loss = vitals.val_loss
        self._recent.append((loss if math.isfinite(loss) else None, healthy))
        if healthy:
            assert math.isfinite(loss), loss
            reading = Reading(loss, vitals.val_accuracy, vitals.outputs)
            self.clean = Clean([*self.clean.readings, reading][-self._size :])
            level = self.clean.level
            if level is not None:
                self._best = level if self._best is None else min(self._best, level)

    def begin_anew(self) -> None:
        """A fresh baseline: the statistics begin from nothing, what is kept for the report stays."""
        self.clean = Clean(())
        self._best = None

    def accept(self) -> None:
        """A level that lasts is the new one: the statistics begin from nothing, but the best level is not forgotten."""
        self.clean = Clean(())

    def statistics(self) -> Statistics | None:
        """Of the clean window; None while it is empty."""
        return self.clean.statistics

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
        clean = [[r.loss, r.accuracy, None if r.outputs is None else r.outputs.numbers()] for r in self.clean.readings]
        return {"clean": clean, "recent": [list(pair) for pair in self._recent], "best": self._best}

    def restore(self, facts: dict[str, Any]) -> None:
        """Back to what `facts` recorded."""
        readings = (Reading(loss, accuracy, None if outputs is None else Outputs(*outputs)) for loss, accuracy, outputs in facts["clean"])
        self.clean = Clean(tuple(readings)[-self._size :])
        self._recent = deque(((loss, bool(healthy)) for loss, healthy in facts["recent"]), maxlen=RECENT)
        self._best = facts["best"]
