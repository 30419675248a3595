"""What the governor says of vitals. Reading them changes nothing."""

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """HEALTHY: go on. SUSPECT: snapshots are frozen. COLLAPSED: the host is lost and is rolled back."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    COLLAPSED = "collapsed"


@dataclass(frozen=True, slots=True)
class Alarm:
    """What one detector objects to. An immediate alarm is a collapse at once; others must come `strikes` times in a row."""

    cause: str
    immediate: bool
    loss: float | None
    threshold: float | None
    evidence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Standing, and where it is not HEALTHY the first alarm and how many came in a row up to now."""

    standing: Standing
    alarm: Alarm | None = None
    streak: int = 0

    @staticmethod
    def healthy() -> "Verdict":
        """Nothing to object to."""
        return Verdict(Standing.HEALTHY)
