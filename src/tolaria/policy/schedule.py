"""A controller that grows by the clock: the same blueprint in one slot after the other, whatever is measured.

What growing owes to its controller is what it does better than this.
"""

from dataclasses import dataclass

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import ALPHA_TARGETS, TEMPOS, WAIT, Action, Op
from tolaria.lifecycle.gates import refusal
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.fixed import FixedPolicy
from tolaria.policy.view import View


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """Steps are decision steps. Seed number n may germinate from step `begin` + n * `every` of the episode.

    It trains for `training_steps` and is committed after `holding_steps`. A gate that is closed then is asked again in every step.
    `blueprint` "" is the last one of the host's family, which is its strongest.
    """

    # As it was chosen on training seeds in both tasks of `tolaria bench grow`.
    begin: int = 5
    every: int = 10
    training_steps: int = 3
    holding_steps: int = 2
    blueprint: str = ""
    blend: Blend = Blend.ADD
    tempo: int = 3
    alpha_target: float = 1.0

    def __post_init__(self) -> None:
        for name in ("begin", "every", "training_steps", "holding_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"schedule.{name}", getattr(self, name), "a number of steps, 0 or more")
        if self.tempo not in TEMPOS:
            raise ConfigError("schedule.tempo", self.tempo, f"one of {TEMPOS}")
        if self.alpha_target not in ALPHA_TARGETS:
            raise ConfigError("schedule.alpha_target", self.alpha_target, f"one of {ALPHA_TARGETS}")


class SchedulePolicy(FixedPolicy):
    """Has no memory: how far it is stands in the slots."""

    def __init__(self, config: ScheduleConfig) -> None:
        self.config = config

    def decide(self, view: View) -> Action:
        """What is due, if it is legal now."""
        for state in view.slots.values():
            due = self._due(state)
            if due is not None and refusal(view.slots, due.op, due.slot, view.gates) is None:
                return due
        return self._germinate(view)

    def _due(self, state: SlotState) -> Action | None:
        if state.stage is Stage.HOLDING:
            return Action(op=Op.FOSSILIZE, slot=state.slot) if state.steps_in_stage >= self.config.holding_steps else None
        if state.stage is Stage.TRAINING and state.steps_in_stage < self.config.training_steps:
            return None
        return Action(op=Op.ADVANCE, slot=state.slot)

    def _germinate(self, view: View) -> Action:
        grown = sum(state.generation for state in view.slots.values())
        free = next((state.slot for state in view.slots.values() if state.stage is Stage.DORMANT), None)
        if free is None or view.episode_step < self.config.begin + grown * self.config.every:
            return WAIT
        config = self.config
        wish = Action(
            op=Op.GERMINATE,
            slot=free,
            blueprint=config.blueprint or view.blueprints[-1],
            blend=config.blend,
            tempo=config.tempo,
            alpha_target=config.alpha_target,
        )
        return wish if refusal(view.slots, wish.op, wish.slot, view.gates) is None else WAIT
