"""Which cells to run: words joined by `and`, `or` and `not`, each looked for in a cell's id and tags."""

import re
from collections.abc import Iterable, Sequence

from firedrill.scenario.cell import Cell

TOKEN = re.compile(r"\s*(?:([()])|([^\s()]+))")


class BadExpression(ValueError):
    """The expression cannot be read; says where."""


def select(cells: Iterable[Cell], expression: str) -> list[Cell]:
    """The cells that fit; an empty expression fits all. `not` binds closest, then `and`, then `or`."""
    return [cell for cell in cells if fits(expression, f"{cell.id} {' '.join(cell.scenario.tags)}")]


def fits(expression: str, text: str) -> bool:
    """Whether the words of an expression are in a text, as it wants them; an empty expression fits all."""
    words = [bracket or word for bracket, word in TOKEN.findall(expression)]
    if not words:
        return True
    reading = _Reading(words, text.lower())
    answer = reading.either()
    if reading.rest:
        raise BadExpression(f"{reading.rest[0]!r} is not expected in {' '.join(words)!r}")
    return answer


class _Reading:
    """One pass over the words; each method reads its part and answers for it."""

    def __init__(self, words: Sequence[str], text: str) -> None:
        self.rest = list(words)
        self._text = text

    def either(self) -> bool:
        fits = self._both()
        while self._take("or"):
            # Read even where it no longer matters, so that the words are used up.
            fits = self._both() or fits
        return fits

    def _both(self) -> bool:
        fits = self._one()
        while self._take("and"):
            fits = self._one() and fits
        return fits

    def _one(self) -> bool:
        if self._take("not"):
            return not self._one()
        if self._take("("):
            fits = self.either()
            if not self._take(")"):
                raise BadExpression("a bracket is not closed")
            return fits
        if not self.rest or self.rest[0] in {"and", "or", ")"}:
            raise BadExpression(f"a word is missing before {self.rest[0]!r}" if self.rest else "a word is missing at the end")
        return self.rest.pop(0).lower() in self._text

    def _take(self, word: str) -> bool:
        if self.rest[:1] == [word]:
            self.rest.pop(0)
            return True
        return False
