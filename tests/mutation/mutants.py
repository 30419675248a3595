"""Every small change of a source text that a test should notice.

The changes are those of mutmut. mutmut itself applies them inside plain functions only; here they are applied to the whole
text, because the limits of detectors are constants, the defaults of gates are fields, and what a stage counts as is a property.
Whole tables lose their entries one by one, which is a change that mutmut does not know.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import ndiff
from itertools import islice

import libcst as cst
from libcst.metadata import MetadataWrapper
from mutmut.mutation.mutators import mutation_operators

# What is read by people and type checkers alone, or runs once when a class is made.
UNTOUCHED = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)
LITERAL = (cst.SimpleString, cst.BaseNumber)


@dataclass(frozen=True, slots=True)
class Change:
    """In which class and function which lines became which."""

    where: str
    before: str
    after: str


def mutants(source: str) -> dict[str, Change]:
    """Every changed text with its change, in the order of the source; none is the same text as another."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    finder = _Finder()
    wrapper.module.visit(finder)
    found: dict[str, Change] = {}
    for where, node, replacement in finder.changes:
        code = _replaced(wrapper.module, node, replacement)
        if code != source and code not in found and _compiles(code):
            found[code] = Change(where, *_difference(source, code))
    return found


class _Finder(cst.CSTVisitor):
    """Collects what may be put in place of which node."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, cst.CSTNode, cst.CSTNode]] = []
        self._names: list[str] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, UNTOUCHED):
            return False
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._names.append(node.name.value)
        for replacement in _replacements(node):
            self.changes.append((".".join(self._names) or "module", node, replacement))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            self._names.pop()


def _replacements(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            # A text changed in one way is enough.
            yield from islice(operator(node), 1 if kind is cst.BaseString else None)
    if isinstance(node, (cst.Dict, cst.Set)) or (isinstance(node, cst.Tuple) and _is_literal(node.elements)):
        yield from _shortened(node)


def _is_literal(elements: Sequence[cst.BaseElement]) -> bool:
    return all(isinstance(element.value, LITERAL) for element in elements)


def _shortened(table: cst.Dict | cst.Set | cst.Tuple) -> Iterable[cst.CSTNode]:
    if len(table.elements) < 2:
        return
    for index in range(len(table.elements)):
        kept = [element for other, element in enumerate(table.elements) if other != index]
        if isinstance(table, cst.Tuple):
            # A tuple of one needs its comma.
            kept[-1] = kept[-1].with_changes(comma=cst.Comma())
        yield table.with_changes(elements=kept)


def _replaced(module: cst.Module, node: cst.CSTNode, replacement: cst.CSTNode) -> str:
    changed = module.deep_replace(node, replacement)
    assert isinstance(changed, cst.Module)
    return changed.code


def _compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _difference(source: str, code: str) -> tuple[str, str]:
    lines = list(ndiff(source.splitlines(), code.splitlines()))
    return _marked(lines, "- "), _marked(lines, "+ ")


def _marked(lines: list[str], mark: str) -> str:
    return " ".join(line.removeprefix(mark).strip() for line in lines if line.startswith(mark))
