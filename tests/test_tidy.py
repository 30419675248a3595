"""The house rules that a machine can check. Each rule is a function from source text to complaints, and has been seen to complain."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (ROOT / "src" / "tolaria", ROOT / "harness" / "firedrill")

LINES_MAX = 400
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 8
FOLDERS_BELOW_PACKAGE_MAX = 2

VAGUE_NAMES = {"utils", "helpers", "common", "core", "base", "misc", "manager", "types"}

# Folders whose `__init__` lists every file beside it, and the files that are what the entries have in common.
TABLES = {
    "tolaria/host/blueprints": set[str](),
    "tolaria/tasks": {"task", "batches", "text", "choice"},
    "tolaria/environments": {"named", "registered"},
    "tolaria/governor/detectors": {"detector"},
    "firedrill/faults": {"chance", "condition", "disk_fault", "disk_operations", "fault", "process_fault", "when", "target"},
    "firedrill/oracles": {"oracle", "shared_out"},
}

# Help, validation, collection and every command line must load no torch; the child process sets its threads before torch starts.
LAZY_IMPORTERS = {"conduct.py", "screen.py", "pytest_plugin.py", "runner/cell.py"}
LAZY_IMPORTERS |= {f"runner/executors/{name}.py" for name in ("local", "by_name")}

# A test tree and the package it mirrors.
MIRRORS = {"tests/tolaria": ROOT / "src" / "tolaria", "tests/firedrill": ROOT / "harness" / "firedrill"}

# Tests that mirror no module, with the reason.
UNMIRRORED: dict[str, str] = {
    "tests/tolaria/ppo/test_buffer_charges.py": "buffer.py, what deaths cost; test_buffer.py is about everything else",
    "tests/tolaria/governor/test_arena_scan.py": "arena.py, whether live tensors are still those that were bound",
    "tests/tolaria/governor/test_arena_restore.py": "arena.py, restores by bytes; test_arena.py is about everything else",
    "tests/tolaria/governor/test_governor_remedies.py": "governor.py on a host of one number, with what is done beside restoring",
    "tests/tolaria/governor/test_governor_story.py": "governor.py on a host of one number; test_governor.py has a real host",
    "tests/tolaria/governor/test_rollback_choice.py": "rollback.py and governor.py together, on a host of one number",
    "tests/tolaria/integrations/test_plain_refusals.py": "plain.py, what is refused; test_plain.py is about what is noticed and given back",
    "tests/tolaria/governor/test_snapshot_ring.py": "which snapshots stay; test_snapshots.py is about their bytes",
}

# Written in halves, so that this file does not break its own rules.
NOTE_FOR_LATER = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
OUTSIDE_WORD = re.compile(
    "|".join(
        (
            r"py" + r"pi\.org",
            r"python" + r"hosted\.org",
            r"download\.py" + r"torch\.org",
            r"ana" + r"conda\.(?:org|com)",
            r"npm" + r"js\.org",
            re.escape("../" + "shared"),
            r"(?<![\w.])/(?:home|root|work|Users)/\w+",
        )
    )
)
TEXT_SUFFIXES = {"", ".cff", ".html", ".ini", ".j2", ".json", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
NOT_OURS = {".git", ".hypothesis", ".venv", ".nox", "runs", "build", "dist", "local", "__pycache__"}

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


# What is looked at.


def modules() -> list[Path]:
    """Every module of both packages."""
    return sorted(path for package in PACKAGES for path in package.rglob("*.py"))


def python_files() -> list[Path]:
    """Every Python file of the project."""
    return [*modules(), *sorted((ROOT / "tests").rglob("*.py")), ROOT / "noxfile.py"]


def project_files() -> Iterator[Path]:
    """Every text file that belongs to the project."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in NOT_OURS and not name.endswith(("_cache", ".egg-info")))
        yield from (Path(folder) / name for name in sorted(names) if Path(name).suffix in TEXT_SUFFIXES and name not in NOT_OURS)


def within_package(path: Path) -> str:
    """The path of a module as its package sees it, without the name of the package."""
    return next(path.relative_to(package).as_posix() for package in PACKAGES if path.is_relative_to(package))


def complaints(rule: Callable[[str], Iterable[str]], paths: Iterable[Path]) -> list[str]:
    """What a rule finds, with the place in front."""
    return [f"{path.relative_to(ROOT)}: {found}" for path in paths for found in rule(path.read_text(encoding="utf-8"))]


# Rules over source text.


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method."""
    yield from (node for node in ast.walk(ast.parse(source)) if isinstance(node, FUNCTION))


def long_file(source: str) -> Iterator[str]:
    """A file is at most 400 lines."""
    lines = len(source.splitlines())
    if lines > LINES_MAX:
        yield f"{lines} lines"


def long_functions(source: str) -> Iterator[str]:
    """A function is at most 70 lines."""
    for node in functions(source):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{node.name} has {lines} lines"


def wide_functions(source: str) -> Iterator[str]:
    """A function has at most 8 parameters, self not counted."""
    for node in functions(source):
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len(named) - (bool(named) and named[0].arg in {"self", "cls"})
        if count > PARAMETERS_MAX:
            yield f"{node.name} has {count} parameters"


def undocumented(source: str) -> Iterator[str]:
    """A public class or function has a docstring."""
    for node in ast.parse(source).body:
        if isinstance(node, (*FUNCTION, ast.ClassDef)) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield f"{node.name} has no docstring"


def silent_handlers(source: str) -> Iterator[str]:
    """An exception is never passed over."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and all(is_nothing(statement) for statement in node.body):
            yield f"line {node.lineno} passes over an exception"


def is_nothing(statement: ast.stmt) -> bool:
    """Whether it is `pass`, `...` or a mere string."""
    return isinstance(statement, ast.Pass) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def prints(source: str) -> Iterator[str]:
    """Nothing prints."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"line {node.lineno} prints"


def notes_for_later(source: str) -> Iterator[str]:
    """What is left to do is done or stands in an issue."""
    for number, line in enumerate(source.splitlines(), start=1):
        if NOTE_FOR_LATER.search(line):
            yield f"line {number} is a note for later"


def hidden_imports(source: str) -> Iterator[str]:
    """Imports stand at the top."""
    for function in functions(source):
        for node in ast.walk(function):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                yield f"{function.name} imports in line {node.lineno}"


def front_door(source: str) -> Iterator[str]:
    """An `__init__` is empty or a table: a docstring, imports and at least one assignment that is more than `__all__`."""
    body = ast.parse(source).body
    rest = [node for node in body if not isinstance(node, (ast.Import, ast.ImportFrom))]
    if rest and isinstance(rest[0], ast.Expr) and ast.get_docstring(ast.parse(source)):
        rest = rest[1:]
    yield from (f"line {node.lineno} belongs into a module" for node in rest if not isinstance(node, (ast.Assign, ast.AnnAssign)))
    if body and all("__all__" in assigned_names(node) for node in rest):
        yield "is neither empty nor a table"


def assigned_names(node: ast.stmt) -> set[str]:
    """The plain names that an assignment binds."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def imported_names(source: str, package: str) -> set[str]:
    """The files of its own folder that an `__init__` imports, relatively or by full name."""
    found = set[str]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix(f"{package}.") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            inside = origin if node.level == 1 else origin.removeprefix(package).lstrip(".")
            found |= {inside} if inside else {alias.name for alias in node.names}
    return found


def outside_words(source: str) -> Iterator[str]:
    """No package registry and no place on somebody's machine is named."""
    for number, line in enumerate(source.splitlines(), start=1):
        if match := OUTSIDE_WORD.search(line):
            yield f"line {number} names {match.group()}"


# Rules over paths.


def vague_name(path: str) -> bool:
    """Whether a file or a folder on the way has a name that says nothing."""
    return bool(VAGUE_NAMES & set(Path(path).with_suffix("").parts))


def too_deep(path: str) -> bool:
    """Whether a module lies deeper than two folders below its package."""
    return len(Path(path).parent.parts) > FOLDERS_BELOW_PACKAGE_MAX


def strays(names: Iterable[str], package: str) -> set[str]:
    """What lies beside a package and would become importable."""
    return set(names) - {package, "README.md", "__pycache__"}


def unmirrored(test: str, existing: set[str]) -> bool:
    """Whether `governor/test_slot.py` has neither `governor/slot.py` nor the package `governor/slot`."""
    module = Path(test).with_name(Path(test).stem.removeprefix("test_")).as_posix()
    return not {f"{module}.py", f"{module}/__init__.py"} & existing


# The rules on this project.

EVERY_MODULE = (undocumented, silent_handlers, prints)
EVERY_FILE = (long_file, long_functions, wide_functions, notes_for_later)


@pytest.mark.parametrize("rule", EVERY_MODULE, ids=lambda rule: rule.__name__)
def test_modules_obey(rule: Callable[[str], Iterable[str]]) -> None:
    assert complaints(rule, modules()) == []


@pytest.mark.parametrize("rule", EVERY_FILE, ids=lambda rule: rule.__name__)
def test_files_obey(rule: Callable[[str], Iterable[str]]) -> None:
    assert complaints(rule, python_files()) == []


def test_imports_stand_at_the_top() -> None:
    eager = (path for path in modules() if within_package(path) not in LAZY_IMPORTERS and not path.stem.endswith("cli"))
    assert complaints(hidden_imports, eager) == []


def test_front_doors_are_empty_or_tables() -> None:
    assert complaints(front_door, (path for path in modules() if path.name == "__init__.py")) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_root_of_a_package_is_empty(package: Path) -> None:
    assert (package / "__init__.py").read_text() == ""


@pytest.mark.parametrize("table", TABLES)
def test_every_entry_stands_in_its_table(table: str) -> None:
    folder = next(package.parent / table for package in PACKAGES if table.startswith(package.name))
    entries = {path.stem for path in folder.glob("*.py")} - {"__init__"} - TABLES[table]
    listed = imported_names((folder / "__init__.py").read_text(), table.replace("/", ".")) if entries else set[str]()
    assert entries - listed == set()


def test_names_say_something() -> None:
    assert [path for path in map(within_package, modules()) if vague_name(path)] == []


def test_folders_are_shallow() -> None:
    assert [path for path in map(within_package, modules()) if too_deep(path)] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_nothing_lies_beside_a_package(package: Path) -> None:
    assert strays((path.name for path in package.parent.iterdir()), package.name) == set()


def test_project_files_name_no_outside_places() -> None:
    assert complaints(outside_words, project_files()) == []


@pytest.mark.parametrize("tree", MIRRORS)
def test_tests_mirror_modules(tree: str) -> None:
    existing = {path.relative_to(MIRRORS[tree]).as_posix() for path in MIRRORS[tree].rglob("*.py")}
    tests = {path.relative_to(ROOT / tree).as_posix() for path in (ROOT / tree).rglob("test_*.py")}
    assert sorted(test for test in tests if unmirrored(test, existing) and f"{tree}/{test}" not in UNMIRRORED) == []


def test_exceptions_from_the_mirror_still_exist() -> None:
    assert [test for test in UNMIRRORED if not (ROOT / test).exists()] == []


# What loads no torch, in a fresh process each.

LIGHT = {
    "tolaria --help": ("src/tolaria/__main__.py", "tolaria", "--help"),
    "firedrill --help": ("harness/firedrill/cli.py", "firedrill.cli", "--help"),
    "firedrill validate scenarios": ("harness/firedrill/cli.py", "firedrill.cli", "validate", "scenarios"),
    "import tolaria.telemetry.history": ("src/tolaria/telemetry/history.py", "tolaria.telemetry.history"),
    "import firedrill.pytest_plugin": ("harness/firedrill/pytest_plugin.py", "firedrill.pytest_plugin"),
}

# Runs a module as `python -m` does, then tells whether a heavy one was loaded on the way.
RUN_LIGHTLY = """
import runpy, sys
heavy, module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as stop:
    if stop.code:
        raise
sys.exit(f"{heavy} was loaded" if heavy in sys.modules else 0)
"""


def run_lightly(heavy: str, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a fresh process, which fails where the heavy one is loaded."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(str(package.parent) for package in PACKAGES)}
    command = [sys.executable, "-c", RUN_LIGHTLY, heavy, module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("claim", LIGHT)
def test_no_torch_is_loaded_by(claim: str) -> None:
    file, module, *arguments = LIGHT[claim]
    if not (ROOT / file).exists():
        pytest.skip(f"{file} is not written yet")
    ended = run_lightly("torch", module, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# Each rule has been seen to complain, and to be silent.

SEEN = [
    (long_file, "x = 1\n" * 401, "x = 1\n" * 400),
    (long_functions, "def f():\n" + "    x = 1\n" * 70, "def f():\n" + "    x = 1\n" * 69),
    (wide_functions, "def f(a, b, c, d, e, /, f, g, *, h, i): ...", "class C:\n    def f(self, a, b, c, d, e, f, g, h): ..."),
    (undocumented, "def f(): ...", "def _f(): ..."),
    (undocumented, "class C:\n    x = 1", "class C:\n    'Says it.'\n    def f(self): ..."),
    (silent_handlers, "try:\n    f()\nexcept OSError:\n    pass", "try:\n    f()\nexcept OSError:\n    x = None"),
    (silent_handlers, "try:\n    f()\nexcept OSError:\n    ...", "try:\n    f()\nexcept OSError as error:\n    raise E from error"),
    (prints, "print('x')", "console.print('x')"),
    (notes_for_later, "# TO" + "DO: later", "# To do it later would be wrong."),
    (hidden_imports, "class C:\n    def f(self):\n        if x:\n            from a import b", "if TYPE_CHECKING:\n    from a import b"),
    (front_door, "from a.b import c", ""),
    (
        front_door,
        "from a.b import c\n__all__ = ['c']",
        "'Says it.'\nfrom a.b import c\nTABLE: T = {'c': c}\n__all__ = ['TABLE']",
    ),
    (front_door, "TABLE = {}\ndef f(): ...", "import a\nTABLE = (a,)"),
    (front_door, "'Says it.'", ""),
    (outside_words, "see https://py" + "pi.org/simple", "see https://github.com"),
    (outside_words, "../" + "shared/note.md", "./shared/note.md"),
    (outside_words, "at /ho" + "me/someone/x", "at src/home/x and ~/x"),
]


@pytest.mark.parametrize(("rule", "bad", "good"), SEEN, ids=[f"{rule.__name__}-{i}" for i, (rule, _, _) in enumerate(SEEN)])
def test_a_rule_complains_about_bad_text_only(rule: Callable[[str], Iterable[str]], bad: str, good: str) -> None:
    assert list(rule(bad)) != []
    assert list(rule(good)) == []


def test_a_table_misses_what_it_does_not_import() -> None:
    table = "from p.faults.one import One\nfrom p.faults import two\nfrom .three import Three\nfrom . import four\nimport p.faults.five\n"
    assert imported_names(table, "p.faults") == {"one", "two", "three", "four", "five"}


JUDGED = [
    (vague_name, "host/utils.py", "host/slot.py"),
    (vague_name, "common/slot.py", "commons/slot.py"),
    (too_deep, "a/b/c/d.py", "a/b/d.py"),
    (lambda name: strays({name, "README.md", "tolaria"}, "tolaria"), "notes", "__pycache__"),
    (lambda test: unmirrored(test, {"host/slot.py", "faults/__init__.py"}), "governor/test_slot.py", "host/test_slot.py"),
    (lambda test: unmirrored(test, {"host/slot.py", "faults/__init__.py"}), "test_slot.py", "test_faults.py"),
]


@pytest.mark.parametrize(("rule", "bad", "good"), JUDGED)
def test_a_rule_complains_about_bad_paths_only(rule: Callable[[str], object], bad: str, good: str) -> None:
    assert rule(bad)
    assert not rule(good)


def test_a_heavy_import_and_a_failed_run_are_noticed() -> None:
    assert run_lightly("json", "json.tool", "--help").stderr.strip() == "json was loaded"
    assert run_lightly("torch", "json.tool", "--no-such-option").returncode != 0
    assert run_lightly("torch", "json.tool", "--help").returncode == 0
