"""What pools that work on several environments at once share.

    begin      every environment executes its decision
    train      the batches of all of them
    finish     every environment ticks, validates and is rewarded

How they are trained is the pool's own business.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from tolaria.env.growth_env import Broken, Outcome
from tolaria.env.pool import Decided, HostPool, caught
from tolaria.env.training import HostTraining, Trained
from tolaria.seams import NO_TAPS
from tolaria.telemetry.event import Event, Point


@dataclass(slots=True, eq=False)
class Member:
    """A host whose batches are trained, what they have come to so far, and what broke it."""

    training: HostTraining
    at: Point
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    broken: Broken | None = None

    @property
    def trained(self) -> Trained:
        """The step's batches together."""
        # Python's own maximum may pass over a NaN.
        largest = math.nan if any(map(math.isnan, self.norms)) else max(self.norms)
        return Trained(sum(self.losses) / len(self.losses), largest)


class TogetherPool(HostPool):
    """Begins all, trains all, finishes all. Where nobody listens, a step's events come environment by environment, as in the loop."""

    def advance(self, decided: Sequence[Decided]) -> list[Outcome | Broken]:
        """One decision step of each."""
        told: list[list[Event]] = [_hold_back(each.env.training) for each in decided]
        begun = [caught(partial(each.env.begin_step, each.action, each.at)) for each in decided]
        members = [Member(each.env.training, each.at) for each in decided]
        for member, start in zip(members, begun, strict=True):
            member.broken = start if isinstance(start, Broken) else None
        trained = self.train(members)
        outcomes: list[Outcome | Broken] = []
        for each, start, result, events in zip(decided, begun, trained, told, strict=True):
            each.env.training.emit = each.env.emit
            for event in events:
                each.env.emit(event)
            if isinstance(start, Broken):
                outcomes.append(start)
            elif isinstance(result, Broken):
                outcomes.append(result)
            else:
                outcomes.append(caught(partial(each.env.finish_step, start, result, each.at)))
        return outcomes

    @abstractmethod
    def train(self, members: Sequence[Member]) -> list[Trained | Broken]:
        """All batches of a step; those that are broken already have nothing to train."""


def _hold_back(training: HostTraining) -> list[Event]:
    """What a host tells from now on; a harness tells its own things in between, and then nothing is held back."""
    told: list[Event] = []
    if training.taps is NO_TAPS:
        training.emit = told.append
    return told
