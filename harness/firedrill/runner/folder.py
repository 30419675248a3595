"""The folder of a cell: which files its recording leaves there, and how they are read. No torch is needed for that."""

import json
import re
from functools import lru_cache
from pathlib import Path

import xxhash

from firedrill.events import HARNESS_KINDS
from firedrill.runner.verdict import End, Ending
from tolaria.telemetry.event import Event
from tolaria.telemetry.history import events_in, read_so_far
from tolaria.telemetry.kinds import EVENT_KINDS, tabulate

KINDS = EVENT_KINDS | tabulate(HARNESS_KINDS)
COMMIT = re.compile(rb'"commit": ?"[^"]*"')
CONTROL, FAULTED, COUNTERFACTUAL, ENDING = "control.jsonl", "faulted.jsonl", "counterfactual.jsonl", "ending.json"
# Runs that few oracles ask for: the control run once more, and one at whose seams nobody listens.
AGAIN, BARE = "again.jsonl", "bare.jsonl"


def tell(folder: Path, how: End, detail: str) -> None:
    """Write down how the cell ended, in one step."""
    aside = folder / f"{ENDING}.tmp"
    aside.write_text(json.dumps({"how": how.value, "detail": detail}), encoding="utf-8")
    aside.replace(folder / ENDING)


def told_ending(folder: Path) -> Ending:
    """How the recording of a cell says it ended; `FileNotFoundError` where it did not come to that."""
    told = json.loads((folder / ENDING).read_text(encoding="utf-8"))
    return Ending(End(told["how"]), told["detail"])


def events_of(path: Path) -> tuple[Event, ...]:
    """The events that a run wrote before it ended, however it ended."""
    return tuple(read_so_far(path, KINDS)) if path.exists() else ()


def control_events_of(folder: Path) -> tuple[Event, ...]:
    """The events of the control run, which many cells share: the same bytes are decoded once and not once a cell."""
    path = folder / CONTROL
    return _decoded(path.read_bytes()) if path.exists() else ()


@lru_cache(maxsize=8)
def _decoded(content: bytes) -> tuple[Event, ...]:
    return tuple(events_in(content, Path(CONTROL), KINDS))


def events_where_made(path: Path) -> tuple[Event, ...] | None:
    """The events of a run that not every cell has."""
    return events_of(path) if path.exists() else None


def digest_of(path: Path) -> str:
    """xxh3-128 of a history's bytes but for the commit in its first event: equal for equal runs, also of two commits."""
    return xxhash.xxh3_128_hexdigest(COMMIT.sub(b'"commit":""', path.read_bytes(), count=1)) if path.exists() else ""
