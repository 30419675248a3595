"""When a fault strikes: a pure predicate over the point, the phase and the events so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from firedrill.faults.chance import Chance
from firedrill.faults.condition import Condition
from firedrill.faults.fault import Unfit, check_positive_count
from tolaria.seams import CHECKPOINT_DUE, ROLLOUT_READY
from tolaria.telemetry.kinds import kind_of
from tolaria.telemetry.run_events import StepFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from tolaria.telemetry.event import Event, Point


# These come once for all environments, and not in every step.
OF_THE_RUN = frozenset({CHECKPOINT_DUE.name, ROLLOUT_READY.name})


class EventCounts:
    """In which step each occurrence of an event happened, apart for each environment; the run's own events have none."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, int | None], list[int]] = {}
        self._finished: dict[int | None, list[StepFinished]] = {}
        # Where each condition was met first, and how many steps were asked about in vain.
        self._met: dict[tuple[Condition, int | None], int] = {}
        self._asked: dict[tuple[Condition, int | None], int] = {}

    def note(self, event: Event) -> None:
        """Count one more event; they come in their order."""
        self._steps.setdefault((kind_of(type(event)), event.at.env), []).append(event.at.step)
        if isinstance(event, StepFinished):
            self._finished.setdefault(event.at.env, []).append(event)

    def step_of(self, kind: str, occurrence: int, env: int | None) -> int | None:
        """The step of the n-th event of a kind, from 1, in an environment or else in the run; None if it has not happened."""
        steps = self._steps.get((kind, env)) or self._steps.get((kind, None), [])
        return steps[occurrence - 1] if 1 <= occurrence <= len(steps) else None

    def step_where(self, condition: Condition, env: int | None) -> int | None:
        """The first step of an environment at whose end a condition held; None if there was none."""
        key = (condition, env)
        if key not in self._met:
            finished = self._finished.get(env, [])
            met = next((step.at.step for step in finished[self._asked.get(key, 0) :] if condition.holds(step)), None)
            self._asked[key] = len(finished)
            if met is not None:
                self._met[key] = met
        return self._met.get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Due from a step on, or so many steps after the n-th event of a kind, or after the step in which a number was first measured,
    for `for_steps` steps in a row; with a `chance`, in some of these steps.

    `env` is one environment, several or "all"; occurrences of an event are counted in each environment for itself.
    `batch` matters only at phases that happen in every batch. `phase` is the name of a seam.
    "first" and "last" become numbers, and a missing `env` and `phase` become definite, by `resolved`.
    """

    step: int | Literal["first", "last"] | None = None
    event: str | None = None
    condition: Condition | None = None
    occurrence: int = 1
    plus_steps: int = 0
    env: int | tuple[int, ...] | Literal["all"] | None = None
    phase: str | None = None
    batch: int = 0
    for_steps: int | Literal["forever"] = 1
    chance: Chance | None = None

    def __post_init__(self) -> None:
        if sum(trigger is not None for trigger in (self.step, self.event, self.condition)) != 1:
            raise ValueError("say exactly one of step, event and condition")
        if isinstance(self.step, int) and self.step < 0:
            raise Unfit("step", f"steps are numbered from 0, so {self.step} never comes")
        check_positive_count("occurrence", self.occurrence)
        for name in ("plus_steps", "batch"):
            if getattr(self, name) < 0:
                raise Unfit(name, f"{name} is 0 or more, so {getattr(self, name)} never comes")
        if self.env == () or (isinstance(self.env, tuple) and len(set(self.env)) < len(self.env)):
            raise Unfit("env", "name each environment once")
        if self.for_steps != "forever":
            check_positive_count("for_steps", self.for_steps)
        if self.chance is not None and self.for_steps == 1:
            raise Unfit("chance", "chance needs several steps; say for_steps")

    def resolved(self, envs: int, steps: int, phase: str) -> When:
        """The same moment with nothing left open; `phase` is used where none is named."""
        step = {"first": 0, "last": steps - 1}.get(self.step, self.step) if isinstance(self.step, str) else self.step
        assert not isinstance(step, str)
        env = 0 if self.env is None and envs == 1 else self.env
        return replace(self, step=step, env=env, phase=self.phase or phase)

    def is_due(self, at: Point, phase: str, log: EventCounts, luck: Callable[[], np.random.Generator] | None = None) -> bool:
        """Whether the fault strikes at a passage of a phase, given the events so far; `luck` begins the stream of its chance anew."""
        if phase != self.phase or not self._covers(at.env) or (at.batch is not None and at.batch != self.batch):
            return False
        begin = self._begin(at.env, log)
        if begin is None:
            return False
        waited = at.step - begin - self.plus_steps
        if waited < 0 or (self.for_steps != "forever" and waited >= self.for_steps):
            return False
        if self.chance is None:
            return True
        assert luck is not None, "chance needs a stream"
        return self.chance.strikes(waited, luck())

    def _begin(self, env: int | None, log: EventCounts) -> int | None:
        if self.condition is not None:
            met = log.step_where(self.condition, env)
            return None if met is None else met + 1
        if self.event is not None:
            return log.step_of(self.event, self.occurrence, env)
        assert not isinstance(self.step, str), "resolve first"
        return self.step

    def environments(self, envs: int) -> Sequence[int]:
        """The environments that are struck, of so many."""
        if self.env is None or self.env == "all":
            return range(envs)
        return (self.env,) if isinstance(self.env, int) else self.env

    def declared_strikes(self, envs: int) -> int | None:
        """How often the fault must strike in all; None where it goes on for ever or by chance, so once at least."""
        if self.for_steps == "forever" or self.chance is not None:
            return None
        if self.phase in OF_THE_RUN:
            return 1 if self.for_steps == 1 else None
        return len(self.environments(envs)) * self.for_steps

    def _covers(self, env: int | None) -> bool:
        if self.env is None or self.env == "all":
            return True
        return env == self.env if isinstance(self.env, int) else env in self.env
