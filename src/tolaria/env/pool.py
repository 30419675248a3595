"""How the hosts of a run are trained in one decision step: one after the other, or together. What they learn is the same.

Every pool trains each environment on its own batches, in its own order, with its own optimizers; a pool that works on
several at once differs from the loop in rounding alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tolaria.env.growth_env import Broken, GrowthEnv, Outcome
from tolaria.lifecycle.action import Action
from tolaria.telemetry.event import Point

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decided:
    """An environment and what is to be done in it."""

    env: GrowthEnv
    action: Action
    at: Point


class HostPool(ABC):
    """Steps environments; whatever happens in one of them must not end the others."""

    @abstractmethod
    def advance(self, decided: Sequence[Decided]) -> list[Outcome | Broken]:
        """One decision step of each; what came of them, in their order."""

    def close(self) -> None:  # noqa: B027 - most pools hold nothing
        """Let go of what the pool holds."""


class LoopPool(HostPool):
    """One after the other: the reference."""

    def advance(self, decided: Sequence[Decided]) -> list[Outcome | Broken]:
        """One decision step of each."""
        return [caught(partial(each.env.advance, each.action, each.at)) for each in decided]


def caught(step: Callable[[], T]) -> T | Broken:
    """What a part of a step comes to, or the error that it raised."""
    try:
        return step()
    except AssertionError:
        # Our own mistake, and no trouble of this one environment.
        raise
    except Exception as error:  # noqa: BLE001 - whatever happens in one environment must not end the others
        return Broken(f"{type(error).__name__}: {error}")
