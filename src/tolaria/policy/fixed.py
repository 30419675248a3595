"""Controllers that do not learn: they decide for one environment after the other and expect nothing."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor

from tolaria.lifecycle.action import Action
from tolaria.policy.policy import JSON, Choice, RecurrentState
from tolaria.policy.view import View


class FixedPolicy(ABC):
    """The part of `Policy` that a controller without weights and recurrent state answers always alike."""

    @abstractmethod
    def decide(self, view: View) -> Action:
        """The decision for one environment."""

    def act(self, views: Sequence[View]) -> list[Choice]:
        """One choice for each view, with nothing to remember of it."""
        return [Choice(action=self.decide(view), record=None) for view in views]

    def values(self, views: Sequence[View]) -> list[float]:
        """Zeros: no expectation."""
        return [0.0] * len(views)

    def begin_life(self, env: int) -> None:
        """Nothing is carried that could be made fresh."""
        assert env >= 0, env

    def position(self, env: int) -> JSON:
        """None, unless the controller counts or draws."""
        assert env >= 0, env
        return None

    def rewind(self, env: int, position: JSON) -> None:
        """Nothing to wind back."""
        assert position is None, (env, position)

    def recurrent_state(self) -> RecurrentState | None:
        """None: nothing is carried."""
        return None

    def tensors(self) -> dict[str, Tensor]:
        """None at all."""
        return {}

    def facts(self) -> dict[str, JSON]:
        """None, unless the controller counts or draws."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Nothing to put back; state of another controller is a mistake."""
        assert not tensors, sorted(tensors)
        assert not facts, sorted(facts)
