"""A place between Python and the system, at the file operations that a disk is touched by."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPERATIONS = ("mkdir", "open", "write", "fsync", "close", "rename", "unlink", "rmdir")


@dataclass(frozen=True, slots=True)
class Operation:
    """One call to the system that is about to be made."""

    name: str
    # As many signatures as there are operations.
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    real: Callable[..., Any]

    def done(self) -> Any:  # What the system answers.
        """Make the call."""
        return self.real(*self.args, **self.kwargs)

    @property
    def content(self) -> bytes:
        """What a write was to write."""
        assert self.name == "write", self.name
        return bytes(self.args[1])

    def half_written(self) -> int:
        """Make half of a write, and say how many bytes that is."""
        return int(self.real(self.args[0], self.content[: max(1, len(self.content) // 2)]))


@contextmanager
def answered(answer: Callable[[Operation], Any]) -> Iterator[None]:
    """Meanwhile every file operation of this thread is left to `answer`, which may let it be done."""
    mine = threading.get_ident()
    real = {name: getattr(os, name) for name in OPERATIONS}

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # As many signatures as there are operations.
            operation = Operation(name, args, kwargs, real[name])
            return answer(operation) if threading.get_ident() == mine else operation.done()

        return call

    for name in OPERATIONS:
        setattr(os, name, wrapped(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)
