"""One executed step of one environment, as the buffer keeps it."""

import math
from dataclasses import dataclass

from tolaria.errors import TolariaError
from tolaria.policy.policy import Record


class NonFiniteReward(TolariaError):
    """A reward was NaN or Inf. It is refused: a clip would turn NaN into the best reward there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What was decided and what came of it; `record` is None for controllers that do not learn.

    `reward` is raw. `terminated` ends the segment for good; `truncated` ends it by a time limit, and `bootstrap` is then the
    value of the state after the row. `fresh` marks the first row of a segment. `penalized` marks a death penalty, which
    replaced the reward and is never scaled.
    """

    step: int
    life: int
    record: Record | None
    reward: float
    terminated: bool = False
    truncated: bool = False
    bootstrap: float = 0.0
    fresh: bool = False
    penalized: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.reward):
            raise NonFiniteReward(f"the reward of step {self.step} is {self.reward}")
        assert not (self.terminated and self.truncated), "a segment ends once"
        assert not self.terminated or self.bootstrap == 0.0, "nothing is expected after a terminal row"
        assert self.terminated or not self.penalized, "a death penalty ends its segment"

    @classmethod
    def death(cls, step: int, life: int, record: Record | None, penalty: float, fresh: bool) -> "Row":
        """The row of the step that collapsed: the penalty replaces the reward, and nothing follows."""
        return cls(step=step, life=life, record=record, reward=penalty, terminated=True, fresh=fresh, penalized=True)

    @property
    def ended(self) -> bool:
        """Whether the segment ends with this row."""
        return self.terminated or self.truncated
