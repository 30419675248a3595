"""How long rollbacks took, in a file beside the history.

Two runs of the same config and seed have the same history, byte for byte, so what a clock has measured is not in it. A
sink writes it down instead, a line a rollback, by step and environment. A run that is resumed appends: of several lines for
one place the last one counts.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

from tolaria.errors import TolariaError
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Durations, RolledBack

# Step and environment.
Place = tuple[int, int | None]


class TimingsDamaged(TolariaError):
    """A file of timings cannot be read; says which line."""


class TimingsSink:
    """Writes the durations of rollbacks; the file comes to be with the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def write(self, event: Event) -> None:
        """A line, where the event was timed."""
        if not isinstance(event, RolledBack) or event.work.durations is None:
            return
        if self._file is None:
            self._file = self._path.open("a", encoding="ascii")
        line = {"step": event.at.step, "env": event.at.env, **asdict(event.work.durations)}
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """No event follows."""
        if self._file is not None:
            self._file.close()


def read_timings(path: Path) -> dict[Place, Durations]:
    """By step and environment; nothing where nothing was rolled back. A torn last line, as a kill leaves it, is left out."""
    if not path.exists():
        return {}
    *lines, _ = path.read_text(encoding="ascii").split("\n")
    return dict(_parse(path, number, line) for number, line in enumerate(lines, start=1))


def with_timings(events: Iterable[Event], timings: Mapping[Place, Durations]) -> list[Event]:
    """The events with the durations of their rollbacks, where there are some."""
    return [_timed(event, timings) if isinstance(event, RolledBack) else event for event in events]


def _timed(rollback: RolledBack, timings: Mapping[Place, Durations]) -> RolledBack:
    durations = timings.get((rollback.at.step, rollback.at.env))
    return replace(rollback, work=replace(rollback.work, durations=durations))


def _parse(path: Path, number: int, line: str) -> tuple[Place, Durations]:
    try:
        found = json.loads(line)
        return (found.pop("step"), found.pop("env")), Durations(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TimingsDamaged(f"{path}, line {number}: {type(error).__name__}: {error}") from error
