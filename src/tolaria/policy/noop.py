"""A controller that never grows anything: the static host that every growing one is held against."""

from tolaria.lifecycle.action import WAIT, Action
from tolaria.policy.fixed import FixedPolicy
from tolaria.policy.view import View


class NoopPolicy(FixedPolicy):
    """Waits, whatever it sees."""

    def decide(self, view: View) -> Action:
        """WAIT."""
        return WAIT
