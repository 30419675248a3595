"""A controller that follows a fixed list: the driver of scenarios, where the decision must not be the unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import WAIT, Action
from tolaria.policy.fixed import FixedPolicy
from tolaria.policy.policy import JSON
from tolaria.policy.view import View


@dataclass(frozen=True, slots=True)
class ScriptedMove:
    """What to decide in one step of the run, counted from 0, for one environment or, with None, for every one."""

    step: int
    env: int | None
    action: Action


class ScriptedPolicy(FixedPolicy):
    """Decides as written and waits elsewhere. A move for one environment beats a move for all in the same step.

    It does not ask whether a move is legal: that the environment refuses it may be the point of a scenario.
    """

    def __init__(self, script: Sequence[ScriptedMove]) -> None:
        self._script: dict[tuple[int, int | None], Action] = {}
        # How often each environment was decided for, which is the step of the run.
        self._steps: dict[int, int] = {}
        for index, move in enumerate(script):
            if move.step < 0:
                raise ConfigError(f"script[{index}].step", move.step, "a step of the run, 0 or more")
            if (move.step, move.env) in self._script:
                raise ConfigError(f"script[{index}]", (move.step, move.env), "one move for each step and environment")
            self._script[move.step, move.env] = move.action

    def decide(self, view: View) -> Action:
        """The move of this environment's next step."""
        step = self._steps.get(view.env, 0)
        self._steps[view.env] = step + 1
        return self._script.get((step, view.env), self._script.get((step, None), WAIT))

    def position(self, env: int) -> JSON:
        """The next step of the script."""
        return self._steps.get(env, 0)

    def rewind(self, env: int, position: JSON) -> None:
        """Follow the script from that step on once more."""
        self._steps[env] = cast("int", position)

    def facts(self) -> dict[str, JSON]:
        """How far each environment is."""
        return {str(env): step for env, step in self._steps.items()}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Go on from where the script was left."""
        assert not tensors, sorted(tensors)
        self._steps = {int(env): cast("int", step) for env, step in facts.items()}
