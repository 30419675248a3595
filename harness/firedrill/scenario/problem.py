"""What is wrong with a scenario file: a place, a stable code, a sentence, and what to write instead."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

CODES: dict[str, str] = {
    "FD001": "syntax",
    "FD002": "a key stands twice",
    "FD003": "a tag",
    "FD004": "too large, too deep, or too many aliases",
    "FD010": "an unknown key",
    "FD011": "a value of the wrong type",
    "FD012": "a missing key",
    "FD013": "a wrong value or an unknown name",
    "FD014": "a wrong unit",
    "FD015": "out of range",
    "FD016": "can never strike",
    "FD017": "a selector that can match nothing",
    "FD018": "a name that is used twice",
    "FD019": "a parent that cannot be used",
}

# Longer lines of a file are cut around the caret.
SHOWN_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake at a line and column, both from 1. `text` is the source line; `expected` and `suggestion` may be empty."""

    file: str
    line: int
    column: int
    code: str
    message: str
    expected: str = ""
    suggestion: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        assert self.code in CODES, self.code

    def render(self) -> str:
        """The problem as a reader sees it: place, sentence, source line with a caret, and what to write instead."""
        lines = [f"{self.file}:{self.line}:{self.column}: {self.code} {self.message}"]
        if self.text:
            start = max(0, self.column - SHOWN_WIDTH // 2) if len(self.text) > SHOWN_WIDTH else 0
            gutter = f"{self.line:5d} | "
            lines.append(gutter + self.text[start : start + SHOWN_WIDTH])
            lines.append(" " * (len(gutter) - 2) + "| " + " " * (self.column - 1 - start) + "^")
        if self.expected:
            lines.append(f"      expected {self.expected}")
        if self.suggestion:
            lines.append(f"      did you mean {self.suggestion}?")
        return "\n".join(lines)


def nearest(word: object, known: Iterable[str]) -> str:
    """The known word that a misspelt one probably means, or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return close[0] if close else ""


def one_of(known: Iterable[str]) -> str:
    """The choice among known words, as text."""
    return f"one of {', '.join(known)}"
