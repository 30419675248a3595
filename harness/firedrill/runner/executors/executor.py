"""What an executor is: something that records cells, each in a process of its own, on this machine or on many."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from firedrill.runner.verdict import Ending
from firedrill.scenario.cell import Cell


class CannotExecute(ValueError):
    """This executor cannot work here; says what is missing."""


@dataclass(frozen=True, slots=True)
class Work:
    """A cell that is to be recorded into a folder, which exists and is empty. `number` is its place among the others."""

    number: int
    cell: Cell
    folder: Path


@dataclass(frozen=True, slots=True)
class Done:
    """Work that is over, with all that was recorded in its folder: how it ended and how many seconds it took."""

    work: Work
    ending: Ending
    seconds: float


class Executor(Protocol):
    """Records cells. It is opened before and closed after, so that cells of one campaign can share what is costly."""

    @property
    def jobs(self) -> int:
        """So many cells at once."""

    def record(self, works: Iterable[Work]) -> Generator[Done]:
        """Record them all, each as soon as there is room for it and no sooner: the next is asked for once what is done was taken.

        A cell that dies, hangs or loses its machine costs itself only, and is still told of. To close the iterator ends
        whatever is under way.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
