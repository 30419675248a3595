"""What every event is: a typed fact with logical time, and no clock."""

from collections.abc import Mapping
from dataclasses import Field, dataclass
from typing import Any

# The metadata of a field that sinks see and no history holds: what a clock has measured is different in every run. Such a
# field has a default and is left out of comparisons.
UNRECORDED: Mapping[str, bool] = {"unrecorded": True}


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


def is_recorded(field: "Field[Any]") -> bool:
    """Whether a field of an event is part of the record."""
    return "unrecorded" not in field.metadata
