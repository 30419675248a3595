"""What every controller is: it sees views and returns decisions, and its whole mutable state can be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from torch import Tensor

from tolaria.lifecycle.action import Action
from tolaria.policy.view import View

# What a JSON file can hold.
JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
# The cell's h and c, each [N, H]; H is 0 for a network that remembers nothing.
RecurrentState: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What a learner must remember of one decision.

    `observation` is [D], `mask` [M] true where a choice is legal (as the agent's distribution lays it out), `indices` int64
    [K], one for each head; no tensor carries a graph. `forced` says that there was one legal choice, so nothing was decided.
    """

    observation: Tensor
    mask: Tensor
    indices: Tensor
    log_prob: float
    value: float
    forced: bool


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was decided for one environment; `record` is None for controllers that do not learn."""

    action: Action
    record: Record | None


class Policy(Protocol):
    """A controller of environments, each known by its number."""

    def act(self, views: Sequence[View]) -> list[Choice]:
        """One choice for each view; advances the recurrent state of exactly these environments."""
        ...

    def values(self, views: Sequence[View]) -> list[float]:
        """What the controller expects from here on, with the recurrent state it carries and does not advance."""
        ...

    def begin_life(self, env: int) -> None:
        """Give one environment a fresh recurrent state."""
        ...

    def position(self, env: int) -> JSON:
        """Where the controller stands in what it goes through for one environment, such as a script; None where that is nothing."""
        ...

    def rewind(self, env: int, position: JSON) -> None:
        """Go on from where `position` said, so that the same views lead to the same decisions."""
        ...

    def recurrent_state(self) -> RecurrentState | None:
        """A copy of what is carried now for all environments; None for controllers that carry nothing."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of the mutable state, copied; together with `facts` all of it."""
        ...

    def facts(self) -> dict[str, JSON]:
        """The rest of the mutable state."""
        ...

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Put back what `tensors` and `facts` gave."""
        ...
