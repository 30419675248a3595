"""Two folders with the code, timed in turns: subject by subject, case by case, and what seems slower once more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firedrill.bench.paired import SideFailed, Timed, interleaved, sides
from firedrill.compare.timing import PAIRS, ROUNDS

# Which cases of which subjects.
Chosen = Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Between:
    """Measures both; `failed` says of each subject that could not be timed why."""

    base: Path
    head: Path
    chosen: Chosen
    after_pair: Callable[[], object]
    failed: dict[str, str] = field(default_factory=dict)
    # Of each operation, where it was found.
    _found: dict[str, tuple[str, str]] = field(default_factory=dict)

    def measure(self, suspects: Sequence[str]) -> list[Timed]:
        """All operations of all cases, or of those cases that have these operations."""
        return [timed for subject, cases in self._wanted(suspects).items() for timed in self._timed(subject, cases)]

    def _wanted(self, suspects: Sequence[str]) -> dict[str, list[str]]:
        again = {self._found[suspect] for suspect in suspects}
        wanted = {subject: [case for case in cases if not suspects or (subject, case) in again] for subject, cases in self.chosen.items()}
        return {subject: cases for subject, cases in wanted.items() if cases}

    def _timed(self, subject: str, cases: Sequence[str]) -> list[Timed]:
        timed: list[Timed] = []
        try:
            # Processes of its own for each measurement, so that the second one shares no accident with the first.
            with sides(self.base, self.head, subject) as (before, after):
                for case in cases:
                    timed += interleaved(before, after, case, PAIRS, ROUNDS, self.after_pair)
                    self._found |= {one.subject: (subject, case) for one in timed if one.subject not in self._found}
        except SideFailed as error:
            self.failed[subject] = str(error)
        return timed
