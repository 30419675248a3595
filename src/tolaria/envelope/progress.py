"""How far a long measurement has come, and an end of it before its time."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tolaria.interruption import Interruption, interruptible

T = TypeVar("T")
# Where there is no terminal, so many lines tell of everything.
LINES = 10


class Follow(Protocol):
    """Hands out `items` one by one, of which there are `total`; fewer where somebody wishes to stop."""

    def __call__(self, what: str, items: Iterable[T], total: int) -> Iterator[T]:
        """Each item when the one before it is done."""
        ...


def unseen(what: str, items: Iterable[T], total: int) -> Iterator[T]:
    """All of them, and nobody looks on."""
    del what, total
    yield from items


class Progress:
    """A bar for each sort of work on a terminal, elsewhere a line each time a tenth of it is done."""

    def __init__(self, console: Console, interruption: Interruption) -> None:
        self._console = console
        self._interruption = interruption
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    @property
    def interrupted(self) -> bool:
        """Whether some items were not handed out."""
        return self._interruption.is_requested()

    def follow(self, what: str, items: Iterable[T], total: int) -> Iterator[T]:
        """See `Follow`."""
        task = self._bar.add_task(what, total=total)
        for done, item in enumerate(items, 1):
            if self.interrupted:
                return
            yield item
            self._bar.update(task, completed=done)
            if not self._console.is_terminal and done * LINES // total > (done - 1) * LINES // total:
                self._console.print(f"{what}: {done} of {total}", markup=False, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """The terminal is given back whatever happens."""
        with self._bar:
            yield


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Work that is followed, and that Ctrl-C ends after the present item.

    On stderr: what is measured goes to stdout and may be kept in a file, where this does not belong.
    """
    console = Console(stderr=True)

    def announce() -> None:
        console.print("stopping after this one; once more to stop at once", style="yellow", soft_wrap=True)

    with interruptible(announce) as interruption:
        found = Progress(console, interruption)
        with found.shown():
            yield found
