"""Where a scenario file makes each of its claims, so that one that failed can be shown at its line."""

from dataclasses import dataclass
from pathlib import Path

from firedrill.oracles import BUNDLES
from firedrill.scenario.document import Node
from firedrill.scenario.load import merged_document


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of a file; of a parent, where a claim is taken over from there."""

    file: str
    line: int


class Claims:
    """The lines of one scenario file. A file that cannot be read any more has line 1 only."""

    def __init__(self, path: Path) -> None:
        self._first = Spot(str(path), 1)
        root = merged_document(path)
        self._entries = root.value if root is not None and isinstance(root.value, dict) else {}

    def oracle(self, name: str) -> Spot:
        """The expectation that asks for an oracle, by its name or by a bundle; the head of all expectations where none does."""
        head = self.key("expect")
        entry = self._entries.get("expect")
        wanted = entry.node.value if entry is not None else None
        said = [(_word(item), item) for item in wanted] if isinstance(wanted, list) else []
        bundles = {bundle for bundle, oracles in BUNDLES.items() if name in oracles}
        # An oracle that is asked for by its own name overrides the bundle's.
        for names in ({name}, bundles):
            if found := next((item for word, item in said if word in names), None):
                return Spot(found.source.file, found.line)
        return head

    def verdict(self) -> Spot:
        """The line that says which verdict is expected; where it is left to the default, the head of the expectations."""
        return self.key("verdict") if "verdict" in self._entries else self.key("expect")

    def key(self, name: str) -> Spot:
        """The line of a key of the file, or its first line."""
        entry = self._entries.get(name)
        return Spot(entry.key.source.file, entry.key.line) if entry is not None else self._first


def _word(item: Node) -> str:
    """The name of an expectation: a plain word, or the one key of a mapping."""
    return next(iter(item.value), "") if isinstance(item.value, dict) else str(item.value)
