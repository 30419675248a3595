"""What is known of the changes that no test notices: why each of them may stay."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutation.mutants import Change

LABELS = ("equivalent", "accepted")


@dataclass(frozen=True, slots=True)
class Known:
    """EQUIVALENT: no test can tell, and `because` proves it. ACCEPTED: a test could, and `because` says why none does."""

    label: str
    because: str


class Triage:
    """The entries of `triage.toml`, found by module, place and the two texts, so that they outlive a shift of lines."""

    def __init__(self, entries: dict[tuple[str, str, str, str], Known]) -> None:
        self._entries = entries

    @staticmethod
    def read(path: Path) -> "Triage":
        """Refuses an entry without one of the two labels."""
        entries = {}
        for label, listed in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if label not in LABELS:
                raise ValueError(f"{path}: {label} is not one of {', '.join(LABELS)}")
            for entry in listed:
                key = entry["module"], entry["where"], entry["before"], entry["after"]
                entries[key] = Known(label, entry["because"])
        return Triage(entries)

    def of(self, module: str, change: Change) -> Known | None:
        """What is known of this one."""
        return self._entries.get((module, change.where, change.before, change.after))
