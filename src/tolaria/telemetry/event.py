"""What every event is: a typed fact with logical time, and no clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """Logical time. `step` counts decision steps from 0; `env` and `batch` are None where they have no meaning."""

    step: int
    env: int | None = None
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A fact that happened at a point of the run. Subclasses hold numbers, strings, enums and tuples only."""

    at: Point
