"""What the governor remembers of losses: a clean window for statistics, and a flagged one for the post-mortem.

Anomalies never enter the clean window, so they cannot poison its statistics; they are kept beside it, so that a
report can show what led to a rollback.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

# So many of the latest losses, flagged or not, are kept for the report.
RECENT = 20


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and population standard deviation of the clean window, in nats."""

    mean: float
    spread: float
    samples: int


class LossWindow:
    """The validation losses of one host."""

    def __init__(self, window: int) -> None:
        self._clean: deque[float] = deque(maxlen=window)
        self._recent: deque[tuple[float | None, bool]] = deque(maxlen=RECENT)

    def add(self, loss: float, healthy: bool) -> None:
        """Remember a loss; only a healthy one counts in the statistics."""
        self._recent.append((loss if math.isfinite(loss) else None, healthy))
        if healthy:
            assert math.isfinite(loss), loss
            self._clean.append(loss)

    def begin_anew(self) -> None:
        """A fresh baseline: the statistics begin from nothing, what is kept for the report stays."""
        self._clean.clear()

    def statistics(self) -> Statistics | None:
        """Of the clean window; None while it is empty."""
        if not self._clean:
            return None
        mean = math.fsum(self._clean) / len(self._clean)
        variance = math.fsum((loss - mean) ** 2 for loss in self._clean) / len(self._clean)
        return Statistics(mean, math.sqrt(variance), len(self._clean))

    @property
    def recent(self) -> tuple[float | None, ...]:
        """The latest losses, oldest first, anomalies among them; None where a loss was not finite."""
        return tuple(loss for loss, _ in self._recent)

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {"clean": list(self._clean), "recent": [list(pair) for pair in self._recent]}

    def restore(self, facts: dict[str, Any]) -> None:
        """Back to what `facts` recorded."""
        self._clean = deque((float(loss) for loss in facts["clean"]), maxlen=self._clean.maxlen)
        self._recent = deque(((loss, bool(healthy)) for loss, healthy in facts["recent"]), maxlen=RECENT)
