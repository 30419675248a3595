"""When a fault strikes: a pure predicate over the point, the phase and the events so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from firedrill.faults.fault import Unfit, check_positive_count
from tolaria.telemetry.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tolaria.telemetry.event import Event, Point


class EventCounts:
    """In which step each occurrence of an event happened, apart for each environment; the run's own events have none."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, int | None], list[int]] = {}

    def note(self, event: Event) -> None:
        """Count one more event; they come in their order."""
        self._steps.setdefault((kind_of(type(event)), event.at.env), []).append(event.at.step)

    def step_of(self, kind: str, occurrence: int, env: int | None) -> int | None:
        """The step of the n-th event of a kind, from 1, in an environment or else in the run; None if it has not happened."""
        steps = self._steps.get((kind, env)) or self._steps.get((kind, None), [])
        return steps[occurrence - 1] if 1 <= occurrence <= len(steps) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Due from a step on, or so many steps after the n-th event of a kind, for `for_steps` steps in a row.

    `env` is one environment, several or "all"; occurrences of an event are counted in each environment for itself.
    `batch` matters only at phases that happen in every batch. `phase` is the name of a seam.
    "first" and "last" become numbers, and a missing `env` and `phase` become definite, by `resolved`.
    """

    step: int | Literal["first", "last"] | None = None
    event: str | None = None
    occurrence: int = 1
    plus_steps: int = 0
    env: int | tuple[int, ...] | Literal["all"] | None = None
    phase: str | None = None
    batch: int = 0
    for_steps: int | Literal["forever"] = 1

    def __post_init__(self) -> None:
        if (self.step is None) == (self.event is None):
            raise ValueError("say exactly one of step and event")
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

    def resolved(self, envs: int, steps: int, phase: str) -> When:
        """The same moment with nothing left open; `phase` is used where none is named."""
        step = {"first": 0, "last": steps - 1}.get(self.step, self.step) if isinstance(self.step, str) else self.step
        assert not isinstance(step, str)
        env = 0 if self.env is None and envs == 1 else self.env
        return replace(self, step=step, env=env, phase=self.phase or phase)

    def is_due(self, at: Point, phase: str, log: EventCounts) -> bool:
        """Whether the fault strikes at a passage of a phase, given the events so far."""
        if phase != self.phase or not self._covers(at.env) or (at.batch is not None and at.batch != self.batch):
            return False
        assert not isinstance(self.step, str), "resolve first"
        begin = self.step if self.event is None else log.step_of(self.event, self.occurrence, at.env)
        if begin is None:
            return False
        waited = at.step - begin - self.plus_steps
        return waited >= 0 and (self.for_steps == "forever" or waited < self.for_steps)

    def environments(self, envs: int) -> Sequence[int]:
        """The environments that are struck, of so many."""
        if self.env is None or self.env == "all":
            return range(envs)
        return (self.env,) if isinstance(self.env, int) else self.env

    def declared_strikes(self, envs: int) -> int | None:
        """How often the fault must strike in all; None where it goes on for ever, so once at least."""
        return None if self.for_steps == "forever" else len(self.environments(envs)) * self.for_steps

    def _covers(self, env: int | None) -> bool:
        if self.env is None or self.env == "all":
            return True
        return env == self.env if isinstance(self.env, int) else env in self.env
