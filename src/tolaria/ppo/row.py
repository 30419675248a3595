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
    value of the state after the row. `fresh` marks the first row of a segment. `penalized` marks the row of a collapse, whose
    reward is replaced by what it bears of the death penalty. `share` is what a row bears of the penalty for a later collapse that
    it led to, beside its own reward. What is borne is never scaled.
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
    share: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.reward):
            raise NonFiniteReward(f"the reward of step {self.step} is {self.reward}")
        assert not (self.terminated and self.truncated), "a segment ends once"
        assert not self.terminated or self.bootstrap == 0.0, "nothing is expected after a terminal row"
        assert math.isfinite(self.share), self.share
        assert not (self.penalized and self.share), "the reward of a collapse is its share"

    @classmethod
    def death(cls, step: int, life: int, record: Record | None, penalty: float, fresh: bool) -> "Row":
        """The row of the step that collapsed: the penalty replaces the reward, and nothing follows."""
        return cls(step=step, life=life, record=record, reward=penalty, terminated=True, fresh=fresh, penalized=True)

    @classmethod
    def setback(cls, step: int, life: int, record: Record | None, penalty: float, fresh: bool, bootstrap: float | None) -> "Row":
        """The row of a collapse after which the segment goes on, or, where a time limit cut it, would have gone on to `bootstrap`."""
        cut = bootstrap is not None
        return cls(step, life, record, penalty, truncated=cut, bootstrap=bootstrap or 0.0, fresh=fresh, penalized=True)

    @property
    def charged(self) -> bool:
        """Whether the row bears anything of a death penalty."""
        return self.penalized or self.share != 0.0

    @property
    def ended(self) -> bool:
        """Whether the segment ends with this row."""
        return self.terminated or self.truncated
