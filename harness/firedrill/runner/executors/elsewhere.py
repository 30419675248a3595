"""A cell on another machine, which shares no folder with this one: it is recorded there as here, and its files come back as bytes."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from firedrill.runner.executors.executor import Done, Work
from firedrill.runner.executors.local import Local
from firedrill.runner.verdict import End, Ending
from firedrill.scenario.cell import Cell

# So often a cell is tried again whose machine or whose process there was lost; after that it is told of as an error of the harness.
TRIES_AGAIN = 3


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that the recording of a cell left in its folder, how it ended and how long it took."""

    files: tuple[tuple[str, bytes], ...]
    ending: Ending
    seconds: float

    def unpacked(self, work: Work) -> Done:
        """Put the files where they were wanted."""
        for name, content in self.files:
            (work.folder / name).write_bytes(content)
        return Done(work, self.ending, self.seconds)


def recorded_here(cell: Cell) -> Parcel:
    """What the other machine does: a child of its own for the cell, under the same watchdog as at home."""
    with tempfile.TemporaryDirectory(prefix="firedrill-") as scratch, Local(1) as executor:
        folder = Path(scratch) / "cell"
        folder.mkdir()
        (done,) = executor.record([Work(0, cell, folder)])
        files = tuple((path.name, path.read_bytes()) for path in sorted(folder.iterdir()) if path.is_file())
    return Parcel(files, done.ending, done.seconds)


def lost(work: Work, why: object) -> Done:
    """A cell of which nothing came back. That says nothing of the system, so it is an error of the harness."""
    return Done(work, Ending(End.HARNESS_FAILED, f"its machine was lost {TRIES_AGAIN + 1} times, at last by: {why}"), 0.0)
