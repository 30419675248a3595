"""Gates and legality: why a move that the table knows may not happen now.

One predicate, `refusal`, answers for the policy's masks and for the environment alike, so that masked and refused
are the same thing. An unknown or unmeasured quantity keeps a gate closed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import Op
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import EXPERIMENTAL, Move, Stage, is_possible

MOVES: dict[Op, Move] = {
    Op.GERMINATE: Move.GERMINATE,
    Op.ADVANCE: Move.ADVANCE,
    Op.RETARGET: Move.RETARGET,
    Op.FOSSILIZE: Move.FOSSILIZE,
    Op.PRUNE: Move.PRUNE,
}


@dataclass(frozen=True, slots=True)
class GateConfig:
    """When moves may happen. Steps are decision steps; contribution is accuracy in [-1, 1].

    A seed is committed when its contribution is above `contribution_min` with `commit_confidence`: the lower bound of a one-sided
    interval must be, and at 0.5 the measured mean itself. At a minimum of -1, below which nothing is, any measured seed may be.
    """

    training_steps_min: int = 3
    magnitude_max: float = 1.0
    holding_steps_min: int = 1
    contribution_min: float = 0.0
    prune_age_min: int = 2
    seeds_max: int = 1
    commit_confidence: float = 0.95

    def __post_init__(self) -> None:
        for name in ("training_steps_min", "holding_steps_min", "prune_age_min"):
            if getattr(self, name) < 0:
                raise ConfigError(f"gates.{name}", getattr(self, name), "a number of steps, 0 or more")
        if self.seeds_max < 1:
            raise ConfigError("gates.seeds_max", self.seeds_max, "at least 1 experimental seed at a time")
        if not 0.5 <= self.commit_confidence < 1.0:
            raise ConfigError("gates.commit_confidence", self.commit_confidence, "a probability in [0.5, 1)")
        if not self.magnitude_max > 0.0:
            raise ConfigError("gates.magnitude_max", self.magnitude_max, "a ratio above 0")


def refusal(slots: Mapping[str, SlotState], op: Op, slot: str, config: GateConfig) -> str | None:
    """Why the op may not be executed on the slot now, or None when it may."""
    if op is Op.WAIT:
        return None
    state = slots.get(slot)
    if state is None:
        return f"there is no slot {slot!r}"
    if not is_possible(state.stage, MOVES[op]):
        return f"{op.value} is not possible from {state.stage.value}"
    if op is Op.GERMINATE:
        return _germination_gate(slots, config)
    if op is Op.ADVANCE:
        return _advance_gate(state, config)
    if op is Op.FOSSILIZE:
        return _fossil_gate(state, config)
    if op is Op.PRUNE and state.age < config.prune_age_min:
        return f"the seed is {state.age} steps old, {config.prune_age_min} are needed"
    return None


def _germination_gate(slots: Mapping[str, SlotState], config: GateConfig) -> str | None:
    growing = sum(state.stage in EXPERIMENTAL for state in slots.values())
    return None if growing < config.seeds_max else f"{growing} seeds are growing, {config.seeds_max} may"


def _advance_gate(state: SlotState, config: GateConfig) -> str | None:
    if state.stage is Stage.BLENDING and not state.ramp.finished:
        return f"alpha is {state.alpha:.2f} on its way to {state.ramp.target:.2f}"
    if state.stage is not Stage.TRAINING:
        return None
    if state.steps_in_stage < config.training_steps_min:
        return f"trained for {state.steps_in_stage} steps, {config.training_steps_min} are needed"
    if state.magnitude is None:
        return "the seed's magnitude is not measured"
    # A comparison that is written so that NaN keeps the gate closed.
    if not state.magnitude <= config.magnitude_max:
        return f"the seed's magnitude is {state.magnitude:.3g} of the host's, at most {config.magnitude_max:g} may blend"
    return None


def _fossil_gate(state: SlotState, config: GateConfig) -> str | None:
    if state.steps_in_stage < config.holding_steps_min:
        return f"held for {state.steps_in_stage} steps, {config.holding_steps_min} are needed"
    low = lower_bound(state, config.commit_confidence)
    if low is None:
        return "the seed's contribution is not measured"
    # Written so that NaN keeps the gate closed, also where any number would do.
    if low > config.contribution_min or (config.contribution_min <= -1.0 and low <= config.contribution_min):
        return None
    sure = f"with confidence {config.commit_confidence:g}"
    return f"the seed contributes at least {low:+.4f} {sure}, more than {config.contribution_min:+.4f} is needed"


def lower_bound(state: SlotState, confidence: float) -> float | None:
    """What the seed contributes at least, with one-sided `confidence`; None where it is not measured."""
    if state.contribution is None or state.contribution_error is None:
        return None
    return state.contribution - deviations(confidence) * state.contribution_error


@cache
def deviations(confidence: float) -> float:
    """How many standard errors below the mean a one-sided interval of a normal estimate ends."""
    return NormalDist().inv_cdf(confidence)
