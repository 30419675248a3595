"""A scripted gardener: germinates one seed after the other, blends what trained, keeps what helps and prunes the rest."""

from dataclasses import dataclass

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import ALPHA_TARGETS, TEMPOS, WAIT, Action, Op
from tolaria.lifecycle.gates import refusal
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import EXPERIMENTAL, Stage
from tolaria.policy.fixed import FixedPolicy
from tolaria.policy.view import View


@dataclass(frozen=True, slots=True)
class HeuristicConfig:
    """Steps are decision steps. A seed is germinated once the warm-up is over, or earlier on a plateau.

    A plateau is a validation loss that moved by less than `plateau_gain` (in units of the chance loss) over the latest
    `plateau_steps` steps, down or up. A seed that is not through a stage after `stage_steps_max` steps is pruned.
    """

    warmup_steps: int = 5
    plateau_steps: int = 3
    plateau_gain: float = 0.01
    stage_steps_max: int = 20
    holding_steps_max: int = 5
    germinate_until: float = 2.0 / 3.0
    blend: Blend = Blend.ADD
    tempo: int = 5
    alpha_target: float = 1.0

    def __post_init__(self) -> None:
        for name in ("warmup_steps", "stage_steps_max", "holding_steps_max"):
            if getattr(self, name) < 0:
                raise ConfigError(f"heuristic.{name}", getattr(self, name), "a number of steps, 0 or more")
        if not 1 <= self.plateau_steps <= 4:
            raise ConfigError("heuristic.plateau_steps", self.plateau_steps, "1 to 4 steps, because a view shows 5 vitals")
        if not 0.0 <= self.germinate_until <= 1.0:
            raise ConfigError("heuristic.germinate_until", self.germinate_until, "a part of the episode in [0, 1]")
        if self.tempo not in TEMPOS:
            raise ConfigError("heuristic.tempo", self.tempo, f"one of {TEMPOS}")
        if self.alpha_target not in ALPHA_TARGETS:
            raise ConfigError("heuristic.alpha_target", self.alpha_target, f"one of {ALPHA_TARGETS}")


class HeuristicPolicy(FixedPolicy):
    """Has no memory: even the turn of the blueprints is read off the generations of the slots."""

    def __init__(self, config: HeuristicConfig) -> None:
        self.config = config

    def decide(self, view: View) -> Action:
        """The first wish that is legal now: tend what grows, then germinate, else wait."""
        for state in view.slots.values():
            wish = self._tend(state, view)
            if wish is not None and is_legal(view, wish):
                return wish
        wish = self._germinate(view)
        return wish if wish is not None and is_legal(view, wish) else WAIT

    def _tend(self, state: SlotState, view: View) -> Action | None:
        if state.stage not in EXPERIMENTAL:
            return None
        advance, prune = Action(op=Op.ADVANCE, slot=state.slot), Action(op=Op.PRUNE, slot=state.slot)
        if state.stage is not Stage.HOLDING:
            # A seed whose gate stays closed would hold the only permit to grow for ever.
            late = state.steps_in_stage >= self.config.stage_steps_max
            return prune if late and not is_legal(view, advance) else advance
        commit = Action(op=Op.FOSSILIZE, slot=state.slot)
        if is_legal(view, commit):
            return commit
        # What contributes, but not surely, may become surer while it is held.
        return prune if state.steps_in_stage >= self.config.holding_steps_max or is_harmful(state, view) else None

    def _germinate(self, view: View) -> Action | None:
        # A seed needs time to train, blend and be judged; what begins late only costs.
        if view.episode_step >= self.config.germinate_until * view.episode_steps or not self._is_time_to_grow(view):
            return None
        free = next((state.slot for state in view.slots.values() if state.stage is Stage.DORMANT), None)
        if free is None:
            return None
        turn = sum(state.generation for state in view.slots.values())
        return Action(
            op=Op.GERMINATE,
            slot=free,
            blueprint=view.blueprints[turn % len(view.blueprints)],
            blend=self.config.blend,
            tempo=self.config.tempo,
            alpha_target=self.config.alpha_target,
        )

    def _is_time_to_grow(self, view: View) -> bool:
        if view.episode_step >= self.config.warmup_steps:
            return True
        if len(view.recent) <= self.config.plateau_steps:
            return False
        gain = view.recent[-1 - self.config.plateau_steps].val_loss - view.recent[-1].val_loss
        # A loss that has jumped has not come to rest, and neither has one that is no number.
        return abs(gain) < self.config.plateau_gain * view.chance_loss


def is_harmful(state: SlotState, view: View) -> bool:
    """Whether the measured contribution itself is not enough, however uncertain it is; written so that NaN is not."""
    return state.contribution is not None and not state.contribution >= view.gates.contribution_min


def is_legal(view: View, action: Action) -> bool:
    """Whether the environment would accept the decision now."""
    return refusal(view.slots, action.op, action.slot, view.gates) is None
