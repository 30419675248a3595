"""Whether `package.module:attribute` names something, found out without running any code of it."""

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

SHAPE = "package.module:factory"


def complaint_about(reference: str) -> tuple[str, str]:
    """What is wrong with a reference and what was expected, or two empty texts.

    Modules are looked for where Python looks for them, and where the command was given.
    """
    module, colon, attribute = reference.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), attribute)):
        return f"{reference} names no factory", SHAPE
    path: list[str] | None = [str(Path.cwd()), *sys.path]
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for number, part in enumerate(parts, start=1):
        name = ".".join(parts[:number])
        spec = PathFinder.find_spec(name, path) if path is not None else None
        if spec is None:
            place = f"in {'.'.join(parts[: number - 1])}" if number > 1 else f"in {Path.cwd()} or where Python looks for modules"
            return f"there is no module {part} {place}", "a module that can be imported from where firedrill is run"
        path = list(spec.submodule_search_locations) if spec.submodule_search_locations is not None else None
    assert spec is not None
    known = names_in(Path(spec.origin)) if spec.origin and spec.origin.endswith(".py") else None
    if known is not None and attribute not in known:
        return f"{module} defines no {attribute}", f"one of {', '.join(sorted(known)) or 'none: it defines nothing'}"
    return "", ""


def names_in(path: Path) -> set[str] | None:
    """The names that a module defines or imports at its top; None where its text does not tell."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        # Whoever runs the loop will say it better than this.
        return None
    names: set[str] = set()
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return None if "*" in names else names


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Those of the module itself, also under a condition; what a function or a class holds is its own."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.ExceptHandler | ast.With | ast.For | ast.While):
            yield from _statements(ast.iter_child_nodes(node))
