"""Breaking real code for a while."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol

Wrapper = Callable[..., Any]
Sabotage = Callable[["Patch"], None]


class Patch(Protocol):
    """Whoever puts everything back: pytest's monkeypatch, or the command's own."""

    def setattr(self, target: object, name: str, value: object, /) -> None:
        """Replace an attribute for now."""


def wrap(patch: Patch, owner: object, name: str, around: Wrapper) -> None:
    """Replace a function or method; `around` is handed the real one first, then the arguments."""
    real = getattr(owner, name)
    # A plain function, because a method must find its `self`.
    patch.setattr(owner, name, lambda *args, **kwargs: around(real, *args, **kwargs))


def always(patch: Patch, owner: object, name: str, answer: Any) -> None:
    """Replace a function or method by one that does nothing and answers always the same."""
    patch.setattr(owner, name, lambda *_, **__: answer)


class Undoing:
    """Puts everything back, last things first, when its stack unwinds."""

    def __init__(self, undone: ExitStack) -> None:
        self._undone = undone

    def setattr(self, target: object, name: str, value: object, /) -> None:
        """Replace an attribute until the stack unwinds; one that was inherited is removed again."""
        own = vars(target)
        if name in own:
            self._undone.callback(setattr, target, name, own[name])
        else:
            self._undone.callback(delattr, target, name)
        setattr(target, name, value)
