"""What the governor says of vitals. Reading them changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Standing(StrEnum):
    """HEALTHY: go on. SUSPECT: snapshots are frozen. COLLAPSED: the host is lost and is rolled back."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    COLLAPSED = "collapsed"


@dataclass(frozen=True, slots=True)
class Alarm:
    """What one detector objects to.

    Alarms of one cause that come in a row add up: from `suspect_at` on the host is suspect, from `collapse_at` on it is
    lost. `collapse_at` 1 is a collapse at once; None never is one, however often it comes.
    """

    cause: str
    collapse_at: int | None
    loss: float | None
    threshold: float | None
    evidence: str
    suspect_at: int = 1

    @property
    def immediate(self) -> bool:
        """Whether a single one is a collapse."""
        return self.collapse_at == 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Standing, and where it is not HEALTHY the alarm that decided and how many of its cause came in a row before or with it.

    `streaks` counts, for every cause that is alarmed now, how many came in a row; a healthy verdict may have some.
    """

    standing: Standing
    alarm: Alarm | None = None
    streak: int = 0
    streaks: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def healthy() -> "Verdict":
        """Nothing to object to."""
        return Verdict(Standing.HEALTHY)
