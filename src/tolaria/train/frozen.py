"""The monitor of a controller that has learnt to do nothing, because growing was punished.

How many seeds germinate in an episode is compared with what it was before the penalty could teach anything: in the first
rollouts, or in a control run without a penalty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from tolaria.policy.policy import JSON

# So many rollouts are the measure, where there is no control run, and so many of the latest are held against it.
MEASURE_ROLLOUTS = 3
LATEST_ROLLOUTS = 5
# A controller that germinates less than this part of what it did is frozen. Those that a dear death taught to hold back fell to an
# eighth or less, wavered, and some came back to a quarter; those that went on growing never fell to three quarters (reports/credit).
FROZEN_PART = 0.25
# And it stays so until it germinates this part again, so that one that wavers is told of once.
THAWED_PART = 0.5


@dataclass(frozen=True, slots=True)
class Frozen:
    """A controller that grows no more: germinations an episode, and what they were held against."""

    germinations: float
    control: float


class GrowthMonitor:
    """Counts germinations by rollout. It speaks once each time a controller freezes; `control` is what one without a penalty does."""

    def __init__(self, episode_steps: int, control: float | None = None) -> None:
        self._episode_steps = episode_steps
        self._given = control
        self._rates: list[float] = []
        self._deaths = 0
        self._count = 0
        self._frozen = False

    @property
    def control(self) -> float | None:
        """Germinations an episode that are held to be usual; None until they are known."""
        if self._given is not None:
            return self._given
        return _mean(self._rates[:MEASURE_ROLLOUTS]) if len(self._rates) >= MEASURE_ROLLOUTS else None

    @property
    def latest(self) -> float | None:
        """Germinations an episode in the latest rollouts; None until there are enough."""
        return _mean(self._rates[-LATEST_ROLLOUTS:]) if len(self._rates) >= LATEST_ROLLOUTS else None

    def germinated(self, count: int = 1) -> None:
        """So many seeds were germinated by the controller in this rollout."""
        self._count += count

    def finish_rollout(self, rows: int, deaths: int) -> Frozen | None:
        """The rollout of so many executed steps is over. A controller that nobody has punished is not frozen but idle."""
        if rows > 0:
            # What lies between the measure and the latest is of no more use.
            kept = self._rates if len(self._rates) < MEASURE_ROLLOUTS + LATEST_ROLLOUTS else _without_one(self._rates)
            self._rates = [*kept, self._count * self._episode_steps / rows]
        self._count = 0
        self._deaths += deaths
        control, latest = self.control, self.latest
        if control is None or latest is None or self._deaths == 0:
            return None
        was, self._frozen = self._frozen, latest < (THAWED_PART if self._frozen else FROZEN_PART) * control
        return Frozen(latest, control) if self._frozen and not was else None

    def facts(self) -> dict[str, JSON]:
        """The whole state."""
        return {"rates": list(self._rates), "deaths": self._deaths, "count": self._count, "frozen": self._frozen}

    def restore(self, facts: Mapping[str, JSON]) -> None:
        """Put back what `facts` gave."""
        self._rates = list(cast("Sequence[float]", facts["rates"]))
        self._deaths = cast("int", facts["deaths"])
        self._count = cast("int", facts["count"])
        self._frozen = cast("bool", facts["frozen"])


def _mean(rates: Sequence[float]) -> float:
    return sum(rates) / len(rates)


def _without_one(rates: list[float]) -> list[float]:
    return rates[:MEASURE_ROLLOUTS] + rates[MEASURE_ROLLOUTS + 1 :]
