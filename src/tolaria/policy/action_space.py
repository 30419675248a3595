"""The factored action as indices, one for each head of a policy, and back."""

from collections.abc import Sequence
from dataclasses import dataclass

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import ALPHA_SPEEDS, ALPHA_TARGETS, HEADS, RELEVANT_HEADS, TEMPOS, Action, Op
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend

OPS = tuple(Op)
BLENDS = tuple(Blend)
CURVES = tuple(Curve)


@dataclass(frozen=True, slots=True)
class ActionSpace:
    """Every decision over these slots and blueprints. Irrelevant factors have index 0 and decode to the action's defaults."""

    slots: tuple[str, ...]
    blueprints: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, values in (("slots", self.slots), ("blueprints", self.blueprints)):
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"action_space.{name}", values, "at least one name, each once")

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many choices each head has, in the order of HEADS."""
        return (
            len(OPS),
            len(self.slots),
            len(self.blueprints),
            len(BLENDS),
            len(TEMPOS),
            len(ALPHA_TARGETS),
            len(ALPHA_SPEEDS),
            len(CURVES),
        )

    def decode(self, indices: Sequence[int]) -> Action:
        """The decision that the indices stand for; an index outside of its head raises."""
        for head, index, size in zip(HEADS, indices, self.sizes, strict=True):
            if not 0 <= index < size:
                raise ConfigError(f"action.{head}", index, f"an index below {size}")
        op, slot, blueprint, blend, tempo, target, speed, curve = indices
        chosen = Action(
            op=OPS[op],
            slot=self.slots[slot],
            blueprint=self.blueprints[blueprint],
            blend=BLENDS[blend],
            tempo=TEMPOS[tempo],
            alpha_target=ALPHA_TARGETS[target],
            alpha_speed=ALPHA_SPEEDS[speed],
            alpha_curve=CURVES[curve],
        )
        return canonical(chosen)

    def encode(self, action: Action) -> tuple[int, ...]:
        """The indices of a decision; a relevant factor that the space does not hold raises `ConfigError`."""
        choices: tuple[Sequence[object], ...] = (
            OPS, self.slots, self.blueprints, BLENDS, TEMPOS, ALPHA_TARGETS, ALPHA_SPEEDS, CURVES,
        )  # fmt: skip
        relevant = RELEVANT_HEADS[action.op]
        indices = []
        for head, values in zip(HEADS, choices, strict=True):
            value: object = getattr(action, head)
            if head in relevant and value not in values:
                raise ConfigError(f"action.{head}", value, f"one of {', '.join(map(str, values))}")
            indices.append(values.index(value) if head in relevant else 0)
        return tuple(indices)


def canonical(action: Action) -> Action:
    """The same decision with every irrelevant factor at its default, so that equal decisions are equal values."""
    return Action(**{head: getattr(action, head) for head in RELEVANT_HEADS[action.op]})
