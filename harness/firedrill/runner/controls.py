"""Control runs that cells leave for one another: many have the same subject, and its undisturbed run always has the same bytes.

Only so many are kept, those that were used last, because a campaign over random subjects shares none.
"""

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import xxhash

from firedrill.scenario.cell import Cell, plan
from tolaria.telemetry.event import Event
from tolaria.telemetry.run_events import RunFinished

LEFT_MAX = 64


def taken_over(cell: Cell, controls: Path, path: Path) -> bool:
    """Put the control run of this cell at `path`, if another cell has left it in the folder `controls`."""
    left = controls / name_of(cell)
    try:
        share(left, path)
        os.utime(left)
    except FileNotFoundError:
        return path.exists()
    return True


def leave(cell: Cell, controls: Path, path: Path, events: Sequence[Event]) -> None:
    """Leave a control run that came to its end for other cells. Two that did so at once have left the same bytes."""
    if not any(isinstance(event, RunFinished) for event in events):
        return
    aside = controls / f"{name_of(cell)}.{os.getpid()}"
    share(path, aside)
    aside.replace(controls / name_of(cell))
    by_use = sorted((left for left in controls.iterdir() if not left.suffix), key=_last_used)
    for left in by_use[:-LEFT_MAX]:
        left.unlink(missing_ok=True)


def name_of(cell: Cell) -> str:
    """A digest of all that a control run depends on: nothing of the faults, and nothing of the oracles."""
    subject = json.dumps([cell.device, plan(cell)["subject"]], sort_keys=True)
    return xxhash.xxh3_128_hexdigest(subject.encode())


def share(source: Path, path: Path) -> None:
    """The same bytes under another name: a link where one is possible, or else a copy. Nobody writes to a history that has ended."""
    try:
        path.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, path)


def _last_used(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
