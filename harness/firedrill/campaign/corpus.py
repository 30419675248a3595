"""The corpus: what once failed in a campaign, a line a cell, so that every campaign begins with it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell that failed: its id, what it failed by, and the token that replays it."""

    cell: str
    failure: str
    token: str


class ForeignCorpus(ValueError):
    """The file is no corpus."""


def read(path: Path) -> list[Entry]:
    """The entries of a file, in their order; a file that is not there has none."""
    if not path.exists():
        return []
    try:
        return [Entry(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (ValueError, TypeError) as error:
        raise ForeignCorpus(f"{path} is no corpus of failing cells: {error}") from error


def add(path: Path, entries: Iterable[Entry]) -> int:
    """Append what the file does not know yet; returns how many that were."""
    known = {entry.token for entry in read(path)}
    new = [entry for entry in entries if entry.token not in known]
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(entry)) + "\n" for entry in new)
    return len(new)
