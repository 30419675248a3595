"""Ctrl-C as a wish to stop: what is under way comes to its end, and nothing that is finished is lost."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

# What `timeout` and shells expect of a program that the user interrupted.
INTERRUPTED = 130


class Interruption:
    """Whether the user asked to stop. The second time is not asked but done."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce = announce
        self._requested = False

    def is_requested(self) -> bool:
        """Asked by whoever works, between two pieces of work."""
        return self._requested

    def listen(self, signum: int, frame: "FrameType | None") -> None:
        """The handler of SIGINT."""
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True
        self._announce()


@contextlib.contextmanager
def interruptible(announce: Callable[[], None]) -> Iterator[Interruption]:
    """Ctrl-C becomes a wish to stop; `announce` tells the user that it was heard."""
    interruption = Interruption(announce)
    before = signal.signal(signal.SIGINT, interruption.listen)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
