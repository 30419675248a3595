"""The ladder of responses: what a rollback is followed by depends on how many there were of late.

    newest     the newest trusted snapshot
    older      soon after a rollback: an older one, because the newest led into trouble
    eased      from `ease_from` rollbacks within the window on: the learning rate is cut, and data are skipped
    retired    at `budget` rollbacks within the window: the environment trains no more

A fault that passes is survived on one of the first three; one that stays ends in a bounded number of rollbacks. The
snapshot that the last two restore is chosen as on the first two.
"""

from collections import deque

from tolaria.governor.config import GovernorConfig
from tolaria.telemetry.governor_events import Rung


class Ladder:
    """The rollbacks of one environment that still count. They outlive its hosts: a new episode does not give back the budget."""

    def __init__(self, config: GovernorConfig) -> None:
        self._config = config
        self._steps: deque[int] = deque()

    @property
    def rollbacks(self) -> int:
        """How many counted when the latest happened, itself among them."""
        return len(self._steps)

    def relapsed(self, step: int) -> bool:
        """Whether a collapse comes so soon after a rollback that its snapshot is under suspicion."""
        return bool(self._steps) and step - self._steps[-1] <= self._config.relapse_steps

    def climb(self, step: int, newest: bool) -> Rung:
        """Count one more rollback, and say how far up it led. `newest`: the newest trusted snapshot was restored."""
        self._steps = deque([*(before for before in self._steps if step - before < self._config.budget_window), step])
        if len(self._steps) >= self._config.budget:
            return Rung.RETIRED
        if len(self._steps) >= self._config.ease_from:
            return Rung.EASED
        return Rung.NEWEST if newest else Rung.OLDER

    def facts(self) -> list[int]:
        """All of it, as JSON."""
        return list(self._steps)

    def restore(self, facts: list[int]) -> None:
        """Back to what `facts` recorded."""
        self._steps = deque(facts)
