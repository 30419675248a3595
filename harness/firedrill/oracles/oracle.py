"""What an oracle is, what it may look at, and how it answers.

An oracle is a pure function of recorded histories. It never looks at a live system, and it never imports the logic
that it judges: where it needs a table or a formula it spells out its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import ClassVar, TypeVar

from firedrill.events import FaultStruck, RollbackObserved, SnapshotObserved, StateDigested, TensorSeen, TwinStepped
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.codec import to_line
from tolaria.telemetry.event import Event
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import StepFinished

E = TypeVar("E", bound=Event)

# Seeds of these stages do not survive a rollback, so their tensors are not expected back, unless live seeds are to be restored.
LIVE = frozenset({Stage.GERMINATED, Stage.TRAINING, Stage.BLENDING, Stage.HOLDING})


class Answer(StrEnum):
    """UNKNOWN is the answer where there was nothing to judge; it is not green."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """An oracle's answer and the place that decided it. `key` is a stable word for the way it failed, for verdicts and shrinking."""

    oracle: str
    answer: Answer
    place: str
    detail: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the scenario declares, resolved. One declared number of strikes and one kind a fault; None means at least one strike.

    `beside`: all faults strike the process, its disk or whoever listens, and none the training.
    """

    envs: int
    steps: int
    struck_envs: frozenset[int]
    declared_strikes: tuple[int | None, ...]
    fault_kinds: tuple[str, ...]
    fault_phases: tuple[str, ...] = ()
    beside: bool = False
    batches_per_step: int = 1
    penalty: float = -10.0
    penalty_attribution: str = "split"
    optimizer_policy: str = "reset"
    live_seeds: str = "prune"
    rewind: bool = False
    gamma: float = 0.99
    gae_lambda: float = 0.95
    chance_loss: float = 0.6931471805599453
    rollbacks_max: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that may be judged; what was not made is None.

    `counterfactual` is the faulted run with the governor off, `again` a second control run, and `bare` a run without faults at
    whose seams nobody listened.
    """

    faulted: tuple[Event, ...]
    control: tuple[Event, ...]
    twin: tuple[TwinStepped, ...]
    counterfactual: tuple[Event, ...] | None
    claim: Claim
    again: tuple[Event, ...] | None = None
    bare: tuple[Event, ...] | None = None


@dataclass(frozen=True, slots=True)
class Oracle(ABC):
    """One statement about a run. The fields of a subclass are what a scenario may write after its name."""

    kind: ClassVar[str]

    @abstractmethod
    def judge(self, evidence: Evidence) -> Finding:
        """The answer for these histories."""

    def passed(self, detail: str) -> Finding:
        """The statement holds."""
        return Finding(self.kind, Answer.PASS, "", detail)

    def failed(self, at: str, detail: str, key: str = "") -> Finding:
        """The statement does not hold, seen at this place."""
        return Finding(self.kind, Answer.FAIL, at, f"{at}: {detail}" if at else detail, key)

    def unknown(self, detail: str) -> Finding:
        """There was nothing to judge."""
        return Finding(self.kind, Answer.UNKNOWN, "", detail)


# Questions about histories that several oracles and the verdict ask.


def of(events: Iterable[Event], kind: type[E]) -> tuple[E, ...]:
    """The events of one kind, in their order."""
    return tuple(event for event in events if isinstance(event, kind))


def place(env: int | None, step: int) -> str:
    """How a place is written in a finding."""
    return f"step {step}" if env is None else f"env {env} step {step}"


def where(event: Event) -> tuple[int | None, int]:
    """The environment and the step of an event, which together are a row of the buffer."""
    return event.at.env, event.at.step


def last_steps(events: Iterable[Event]) -> dict[int, int]:
    """The last finished step of every environment."""
    last: dict[int, int] = {}
    for event in of(events, StepFinished):
        if event.at.env is not None:
            last[event.at.env] = max(event.at.step, last.get(event.at.env, -1))
    return last


def first_strikes(events: Iterable[Event], claim: Claim) -> dict[int, dict[int, int]]:
    """Environment -> fault -> step of its first strike there. A strike without an environment concerns all that were meant to be struck."""
    first: dict[int, dict[int, int]] = {}
    for strike in of(events, FaultStruck):
        envs = claim.struck_envs if strike.at.env is None else (strike.at.env,)
        for env in envs:
            first.setdefault(env, {}).setdefault(strike.fault, strike.at.step)
    return first


def first_difference(one: Iterable[Event], other: Iterable[Event]) -> tuple[Event, str] | None:
    """The first event in which two histories differ as they are written down, in which NaN equals itself, and how they differ there."""
    for mine, theirs in zip_longest(one, other):
        if mine is None or theirs is None:
            return mine or theirs, f"only one of the two tells {type(mine or theirs).__name__}"
        if to_line(0, mine) != to_line(0, theirs):
            names = type(mine).__name__, type(theirs).__name__
            return mine, f"{names[0]} differs" if names[0] == names[1] else f"one tells {names[0]}, the other {names[1]}"
    return None


def is_repeatable(evidence: Evidence) -> bool:
    """Whether a difference from the control run says anything; as long as nobody ran it twice, that is taken for granted."""
    return evidence.again is None or first_difference(evidence.control, evidence.again) is None


def digests(events: Iterable[Event]) -> dict[tuple[int | None, int], dict[str, str]]:
    """The digests of every part of the state, by environment and step."""
    return {where(event): dict(event.parts) for event in of(events, StateDigested)}


def differing_parts(one: dict[str, str], other: dict[str, str]) -> Iterator[str]:
    """The names of the parts that differ, or that only one side has."""
    return (name for name in sorted({*one, *other}) if one.get(name) != other.get(name))


@dataclass(frozen=True, slots=True)
class Restoration:
    """A rollback as it was observed, and what its snapshot promised: tensors of host and optimizers, and which slots hold live seeds.

    Where live seeds do not come back none is promised, and no tensor of theirs.
    """

    observed: RollbackObserved
    snapshot: SnapshotObserved | None
    promised: dict[str, TensorSeen]
    growing: tuple[str, ...] = ()

    @property
    def found(self) -> dict[str, TensorSeen]:
        """The live tensors right after the rollback, by name."""
        return {tensor.name: tensor for tensor in self.observed.tensors}

    @property
    def at(self) -> str:
        """The place, as a finding writes it."""
        return place(*where(self.observed))


def restorations(events: Iterable[Event], live_seeds: str = "prune") -> list[Restoration]:
    """Every observed rollback with the latest snapshot of its number that was observed before it in the same environment."""
    pairs: list[Restoration] = []
    stages: dict[tuple[int | None, str], Stage] = {}
    published: dict[tuple[int | None, int], tuple[SnapshotObserved, dict[str, TensorSeen], tuple[str, ...]]] = {}
    for event in events:
        if isinstance(event, StageChanged | SlotRestored):
            stages[event.at.env, event.slot] = event.stage_to
        elif isinstance(event, SnapshotObserved):
            growing = tuple(sorted(slot for (env, slot), stage in stages.items() if env == event.at.env and stage in LIVE))
            left_out = () if live_seeds == "restore" else tuple(f"host/slots.{slot}.seed." for slot in growing)
            promised = {tensor.name: tensor for tensor in event.tensors if not tensor.name.startswith(left_out)}
            published[event.at.env, event.snapshot] = (event, promised, growing if live_seeds == "restore" else ())
        elif isinstance(event, RollbackObserved):
            pairs.append(Restoration(event, *published.get((event.at.env, event.snapshot), (None, {}, ()))))
    return pairs


def host_tensors(tensors: dict[str, TensorSeen]) -> dict[str, TensorSeen]:
    """Those of the host, its slots included."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith("host/")}
