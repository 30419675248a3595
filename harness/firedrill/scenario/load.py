"""The door: scenario files become values here, or a list of everything that is wrong with them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from firedrill.faults import FAULTS
from firedrill.scenario.checks import complaints
from firedrill.scenario.document import Entry, Node, Plain, Source, read
from firedrill.scenario.mistakes import locate, problems_of
from firedrill.scenario.problem import Problem
from firedrill.scenario.quantity import QUANTITIES, looks_like_quantity, read_quantity
from firedrill.scenario.scenario import PlannedFault, Scenario
from firedrill.scenario.schema import JSON, FaultClause, ScenarioFile, UnknownFault, normalised, oracles_of

M = TypeVar("M", bound=BaseModel)

SUFFIXES = (".yaml", ".yml")
ROOT_NAME = "scenarios"
CHAIN_MAX = 3

# Each scenario makes its own claim; these are never taken over from a parent.
OWN_KEYS = {"name", "because", "known_gap", "extends"}


class InvalidScenario(Exception):
    """A scenario file has mistakes; `problems` are all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.render() for problem in problems))
        self.problems = tuple(problems)


def load(path: Path) -> Scenario:
    """The scenario of a file; raises InvalidScenario with everything that is wrong with it."""
    problems: list[Problem] = []
    scenario = _load(path, problems)
    if scenario is None:
        raise InvalidScenario(sorted(problems, key=_order))
    return scenario


def load_text(text: str, path: Path) -> Scenario:
    """The scenario of a text that would stand in the file `path`, which need not exist; raises InvalidScenario."""
    root, problems = read(str(path), text.encode())
    scenario = _from(root, path, problems) if root is not None else None
    if scenario is None:
        raise InvalidScenario(sorted(problems, key=_order))
    return scenario


def merged_document(path: Path) -> Node | None:
    """A scenario file as it is written, laid over its parents; None where it cannot be read. Mistakes are not told."""
    untold: list[Problem] = []
    root = _read(path, untold)
    return _with_parents(root, path, untold) if root is not None else None


def load_all(paths: Iterable[Path]) -> tuple[list[Scenario], list[Problem]]:
    """Every scenario in files and folders, and every problem; a folder is searched with its subfolders."""
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    for path in files_in(paths):
        scenario = _load(path, problems)
        if scenario is not None:
            scenarios.append(scenario)
    first: dict[str, Path] = {}
    for scenario in scenarios:
        known = first.setdefault(scenario.name, scenario.path)
        if known != scenario.path:
            problems.append(_duplicate(scenario, known))
    return scenarios, sorted(problems, key=_order)


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The scenario files among paths, in order and each once; a folder or file beginning with a dot is not looked at."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(file for suffix in SUFFIXES for file in path.rglob(f"*{suffix}")) if _is_folder(path) else [path]
        found |= dict.fromkeys(file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts))
    return list(found)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # A name that no file can have; whoever reads it says so.
        return False


def root_of(path: Path) -> Path:
    """The folder of all scenarios that a file belongs to: the nearest one called "scenarios", or else its own."""
    absolute = path.absolute()
    return next((folder for folder in absolute.parents if folder.name == ROOT_NAME), absolute.parent)


def identity(path: Path) -> str:
    """The id of a scenario, as in "governor/nan-weight"."""
    return path.absolute().relative_to(root_of(path)).with_suffix("").as_posix()


def _load(path: Path, problems: list[Problem]) -> Scenario | None:
    found: list[Problem] = []
    root = _read(path, found)
    scenario = _from(root, path, found) if root is not None else None
    problems.extend(found)
    return scenario


def _from(root: Node, path: Path, found: list[Problem]) -> Scenario | None:
    root = _with_parents(root, path, found)
    file = _validated(root, path, found)
    return _built(file, root, path) if file is not None and not found else None


def _read(path: Path, problems: list[Problem]) -> Node | None:
    try:
        raw = path.read_bytes()
    except OSError as error:
        problems.append(Problem(str(path), 1, 1, "FD001", f"the file cannot be read: {error.strerror}"))
        return None
    root, found = read(str(path), raw)
    problems.extend(found)
    return root


def _with_parents(root: Node, path: Path, problems: list[Problem]) -> Node:
    chain = [path.resolve()]
    current, at = root, path
    merged = root
    while isinstance(current.value, dict) and "extends" in current.value:
        said = current.value["extends"].node
        if not isinstance(said.value, str):
            # The schema says what it thinks of this.
            break
        parent = at.parent / said.value
        if reason := _refusal(parent, path, chain):
            problems.append(said.problem("FD019", reason, expected=f"one file below {ROOT_NAME}, and at most {CHAIN_MAX} in a row"))
            break
        above = _read(parent, problems)
        if above is None:
            break
        merged = _merged(above, merged)
        chain.append(parent.resolve())
        current, at = above, parent
    return merged


def _refusal(parent: Path, path: Path, chain: Sequence[Path]) -> str:
    where = parent.resolve()
    if not where.is_relative_to(root_of(path).resolve()):
        return f"{parent} lies outside the scenarios"
    if where in chain:
        return f"{parent.name} extends itself"
    if len(chain) >= CHAIN_MAX:
        return "the chain of parents is too long"
    return "" if where.is_file() else f"there is no file {parent}"


def _merged(above: Node, below: Node, top: bool = True) -> Node:
    # Mappings are laid over each other, everything else is replaced; each value keeps the file that it came from.
    if not isinstance(above.value, dict) or not isinstance(below.value, dict):
        return below
    entries = {key: entry for key, entry in above.value.items() if not (top and key in OWN_KEYS)}
    for key, entry in below.value.items():
        over = entries.get(key)
        entries[key] = Entry(entry.key, _merged(over.node, entry.node, top=False)) if over else entry
    return replace(below, value=entries)


def _validated(root: Node, path: Path, problems: list[Problem]) -> ScenarioFile | None:
    written = _plain(root, "", problems)
    assert isinstance(written, dict)
    if isinstance(written.get("name"), str) and written["name"] != path.stem:
        expected = f"{path.stem}, as the file is called"
        problems.append(locate(root, ("name",)).node.problem("FD013", f"the name is {written['name']}", expected=expected))
    for complaint in complaints(written):
        spot = locate(root, complaint.path)
        node = spot.key if complaint.code == "FD010" else spot.node
        problems.append(node.problem(complaint.code, complaint.message, expected=complaint.expected, suggestion=complaint.suggestion))
    # A fault that nobody knows would hide what else is wrong with its clause.
    clauses = written.get("faults")
    for number, clause in enumerate(clauses if isinstance(clauses, list) else []):
        if isinstance(clause, dict) and clause.get("do") not in FAULTS and "do" in clause:
            _validate(UnknownFault, clause, root, problems, ("faults", number))
    return _validate(ScenarioFile, normalised(written), root, problems, ())


def _validate(model: type[M], written: JSON, root: Node, problems: list[Problem], above: tuple[str | int, ...]) -> M | None:
    try:
        # As JSON and strictly: a quoted "3" is no number, and a list may stand for a tuple.
        return model.model_validate_json(json.dumps(written), strict=True)
    except ValidationError as error:
        problems.extend(problems_of(error, root, above))
        return None


def _plain(node: Node, key: str, problems: list[Problem]) -> Plain:
    if isinstance(node.value, dict):
        return {word: _plain(entry.node, word, problems) for word, entry in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item, key, problems) for item in node.value]
    if key in QUANTITIES and looks_like_quantity(node.value):
        return read_quantity(node, QUANTITIES[key], problems)
    return node.value


def _built(file: ScenarioFile, root: Node, path: Path) -> Scenario:
    return Scenario(
        id=identity(path),
        path=path,
        name=file.name,
        because=file.because,
        tags=file.tags,
        subject=file.subject,
        matrix=file.matrix,
        faults=tuple(_planned(number, clause, file, root) for number, clause in enumerate(file.faults)),
        oracles=oracles_of(file.expect),
        verdicts=file.verdict,
        budget=file.budget,
        known_gap=file.known_gap,
    )


def _planned(number: int, clause: FaultClause, file: ScenarioFile, root: Node) -> PlannedFault:
    fault = clause.parameters
    phase = "gradients_ready" if clause.target and clause.target.grads else fault.allowed_phases[0]
    at = clause.at.resolved(file.subject.envs, file.subject.steps, phase)
    return PlannedFault(number, at, fault, clause.target, locate(root, ("faults", number)).node.line)


def _duplicate(scenario: Scenario, known: Path) -> Problem:
    text = scenario.path.read_text(encoding="utf-8")
    lines = tuple(text.splitlines())
    line = next((number for number, said in enumerate(lines, start=1) if said.startswith("name:")), 1)
    source = Source(str(scenario.path), lines)
    return source.problem(line, 1, "FD018", f"{scenario.name} is also the name of {known}", expected="a name of its own")


def _order(problem: Problem) -> tuple[PurePath, int, int, str]:
    return PurePath(problem.file), problem.line, problem.column, problem.code
