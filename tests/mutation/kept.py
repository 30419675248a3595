"""What was measured of each module, kept in a file, so that modules can be measured one at a time and make one page.

A module that has been changed since is not measured any more. Tests that came later only notice more; where some were taken
away or weakened, a module is to be measured again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mutation.mutants import Change


@dataclass(frozen=True, slots=True)
class Measured:
    """How many changes of a module were tried, and which of them no test noticed."""

    total: int
    survivors: tuple[Change, ...]


class Kept:
    """The measured modules of a file; each is written down as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, module: str, source: str) -> Measured | None:
        """What was measured of just this text."""
        entry = self._read().get(module)
        if entry is None or entry["digest"] != _digest(source):
            return None
        return Measured(entry["total"], tuple(Change(**change) for change in entry["survivors"]))

    def put(self, module: str, source: str, measured: Measured) -> None:
        """In place of what was known of the module."""
        entries = self._read() | {module: {"digest": _digest(source), **asdict(measured)}}
        self._path.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def _read(self) -> dict[str, Any]:
        return json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]
