"""YAML text as a tree of values that know their line and column.

Only what a scenario needs is read: one document of mappings, lists and plain values. Tags are refused wherever they
stand, so that no text can ask for an object; aliases and depth are limited, so that no short text becomes a long one.
Plain values follow YAML 1.2: `on` is a word and `3e-4` a number. `nan`, `inf` and `-inf` are numbers too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, Event, MappingStartEvent, ScalarEvent, SequenceStartEvent

from firedrill.scenario.problem import Problem

BYTES_MAX = 256_000
DEPTH_MAX = 20
ALIASES_MAX = 32
NODES_MAX = 20_000

# No number of a scenario is longer; Python refuses to read very long ones at all.
NUMBER_LENGTH_MAX = 40

WORDS: dict[str, bool | float | None] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
    "nan": float("nan"),
    "inf": float("inf"),
    "+inf": float("inf"),
    "-inf": float("-inf"),
    ".nan": float("nan"),
    ".inf": float("inf"),
    "-.inf": float("-inf"),
}
WHOLE = re.compile(r"[-+]?[0-9]+")
BROKEN = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

Plain = dict[str, "Plain"] | list["Plain"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Source:
    """A file and its lines, for quoting."""

    file: str
    lines: tuple[str, ...]

    def problem(self, line: int, column: int, code: str, message: str, *, expected: str = "", suggestion: str = "") -> Problem:
        """A problem at a line and column, both from 1."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return Problem(self.file, line, column, code, message, expected, suggestion, text)


@dataclass(frozen=True, slots=True)
class Node:
    """A value at its place; `size` counts the values inside it and itself."""

    source: Source
    line: int
    column: int
    value: "dict[str, Entry] | list[Node] | str | int | float | bool | None"
    size: int = 1

    def problem(self, code: str, message: str, *, expected: str = "", suggestion: str = "") -> Problem:
        """A problem with this value."""
        return self.source.problem(self.line, self.column, code, message, expected=expected, suggestion=suggestion)

    def plain(self) -> Plain:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping, at its place, and its value."""

    key: Node
    node: Node


class _Stopped(Exception):
    """Reading on would be pointless or dangerous."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read(file: str, raw: bytes) -> tuple[Node | None, list[Problem]]:
    """The one document of a file, or None where it cannot be read, and every problem of its form."""
    if len(raw) > BYTES_MAX:
        return None, [Source(file, ()).problem(1, 1, "FD004", f"the file has {len(raw)} bytes", expected=f"at most {BYTES_MAX}")]
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return None, [Source(file, ()).problem(line, 1, "FD001", "the file is not UTF-8 text")]
    source = Source(file, tuple(text.splitlines()))
    reader = _Reader(source)
    try:
        return reader.document(text), reader.problems
    except _Stopped as stopped:
        return None, [*reader.problems, stopped.problem]
    except YAMLError as error:
        return None, [*reader.problems, _syntax(source, text, error)]


def _syntax(source: Source, text: str, error: YAMLError) -> Problem:
    mark = (error.problem_mark or error.context_mark) if isinstance(error, MarkedYAMLError) else None
    if mark is not None:
        return source.problem(mark.line + 1, mark.column + 1, "FD001", str(getattr(error, "problem", error)))
    before = text[: int(getattr(error, "position", 0))]
    return source.problem(before.count("\n") + 1, len(before) - before.rfind("\n"), "FD001", "a character that YAML does not allow")


class _Reader:
    """Turns the parser's events into nodes; recursion is bounded by DEPTH_MAX."""

    def __init__(self, source: Source) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._anchors: dict[str, Node] = {}
        self._aliases = 0
        self._nodes = 0

    def document(self, text: str) -> Node | None:
        events: Iterator[Event] = iter(YAML(typ="rt", pure=True).parse(text))
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Stopped(self._problem(event, "FD001", "a second document begins", "one document in a file"))
                root = self._node(next(events), events, 0)
        if root is None or not isinstance(root.value, dict):
            line, column = (root.line, root.column) if root else (1, 1)
            raise _Stopped(self._source.problem(line, column, "FD011", "a scenario is a mapping", expected="keys such as name and faults"))
        return root

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise _Stopped(self._problem(event, "FD004", "the file is nested too deeply", f"at most {DEPTH_MAX} levels"))
        if isinstance(event, AliasEvent):
            return self._alias(event)
        self._count(event, 1)
        tag = getattr(event, "tag", None)
        if tag is not None:
            written = f"!!{tag.removeprefix('tag:yaml.org,2002:')}" if tag.startswith("tag:yaml.org,2002:") else tag
            self.problems.append(self._problem(event, "FD003", f"the tag {written}", "a plain value: tags are never read"))
        if isinstance(event, MappingStartEvent):
            node = self._mapping(event, events, depth)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, events, depth)
        else:
            assert isinstance(event, ScalarEvent), event
            value = event.value if event.style else scalar(event.value)
            node = self._at(event, value, 1)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _mapping(self, start: Event, events: Iterator[Event], depth: int) -> Node:
        entries: dict[str, Entry] = {}
        for event in events:
            if type(event).__name__ == "MappingEndEvent":
                break
            key = self._node(event, events, depth + 1)
            node = self._node(next(events), events, depth + 1)
            if isinstance(key.value, dict | list):
                self.problems.append(key.problem("FD011", "a key is a word", expected="a plain word before the colon"))
                continue
            word = event.value if isinstance(event, ScalarEvent) else str(key.value)
            if word == "<<":
                self.problems.append(key.problem("FD010", "merge keys are not read", expected="`extends:` for what two scenarios share"))
            elif word in entries:
                first = entries[word].key.line
                self.problems.append(key.problem("FD002", f"the key {word} stands twice", expected=f"it once: line {first} has it too"))
            else:
                entries[word] = Entry(key, node)
        return self._at(start, entries, 1 + sum(entry.node.size for entry in entries.values()))

    def _sequence(self, start: Event, events: Iterator[Event], depth: int) -> Node:
        nodes: list[Node] = []
        for event in events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            nodes.append(self._node(event, events, depth + 1))
        return self._at(start, nodes, 1 + sum(node.size for node in nodes))

    def _alias(self, event: AliasEvent) -> Node:
        self._aliases += 1
        if self._aliases > ALIASES_MAX:
            raise _Stopped(self._problem(event, "FD004", "too many aliases", f"at most {ALIASES_MAX}"))
        node = self._anchors.get(event.anchor)
        if node is None:
            # An alias to what is still being read would be endless.
            raise _Stopped(
                self._problem(event, "FD001", f"nothing before this is anchored as {event.anchor}", "an anchor that is complete")
            )
        self._count(event, node.size)
        return node

    def _count(self, event: Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise _Stopped(self._problem(event, "FD004", "the file unfolds into too many values", f"at most {NODES_MAX}"))

    def _at(self, event: Event, value: "dict[str, Entry] | list[Node] | str | int | float | bool | None", size: int) -> Node:
        return Node(self._source, event.start_mark.line + 1, event.start_mark.column + 1, value, size)

    def _problem(self, event: Event, code: str, message: str, expected: str) -> Problem:
        return self._source.problem(event.start_mark.line + 1, event.start_mark.column + 1, code, message, expected=expected)


def scalar(text: str) -> str | int | float | bool | None:
    """A plain, unquoted value by the rules of YAML 1.2."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if len(text) <= NUMBER_LENGTH_MAX:
        if WHOLE.fullmatch(text):
            return int(text)
        if BROKEN.fullmatch(text):
            return float(text)
    return text
