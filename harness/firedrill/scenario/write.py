"""A cell as the text of a scenario file: what `load` reads back to the very same cell.

`complete` writes every setting out, also those that have their defaults, so that the text means the same to a version
whose defaults are others. Otherwise only what differs is written, which is what a reader wants to see.
"""

import json
import re
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from enum import Enum
from typing import Any

from firedrill.faults.when import When
from firedrill.scenario.cell import Cell
from firedrill.scenario.document import WORDS
from firedrill.scenario.schema import JSON, VERSION
from firedrill.scenario.subject import Subject

# Text that YAML reads as itself without quotes, unless it is one of the words for other values.
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


def document(cell: Cell, complete: bool = False) -> JSON:
    """The cell as the tree of a scenario file of its own, with one device and one seed; values, no text."""
    scenario = cell.scenario
    tree: JSON = {"version": VERSION, "name": scenario.name, "because": scenario.because}
    if scenario.tags:
        tree["tags"] = list(scenario.tags)
    tree["subject"] = _subject(scenario.subject, cell.seed, complete)
    if complete or cell.device != "cpu":
        tree["matrix"] = {"device": [cell.device]}
    if scenario.faults:
        tree["faults"] = [
            {
                "at": _moment(planned.at, complete),
                "do": planned.fault.kind,
                **({"target": written(planned.target, False)} if planned.target else {}),
                **({"with": given} if (given := written(planned.fault, complete)) else {}),
            }
            for planned in scenario.faults
        ]
    tree["expect"] = [{oracle.kind: given} if (given := written(oracle, complete)) else oracle.kind for oracle in scenario.oracles]
    tree["verdict"] = list(scenario.verdicts)
    tree["budget"] = {"rollbacks": scenario.budget.rollbacks, "wall": f"{scenario.budget.wall:.12g}s"}
    if scenario.budget.resumes:
        tree["budget"]["resumes"] = scenario.budget.resumes
    return tree | ({"known_gap": asdict(scenario.known_gap)} if scenario.known_gap else {})


def text(tree: JSON) -> str:
    """A tree as YAML: a line for every key, every fault and every oracle."""
    lines: list[str] = []
    for key, value in tree.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            lines += [f"{key}:", *(f"  - {flow(item)}" for item in value)]
        elif isinstance(value, dict) and isinstance(value.get("script"), list):
            lines.append(f"{key}:")
            lines += [f"  {inner}: {flow(given)}" for inner, given in value.items() if inner != "script"]
            lines += ["  script:", *(f"    - {flow(line)}" for line in value["script"])]
        else:
            lines.append(f"{key}: {flow(value)}")
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:  # A tree has as many types as JSON.
    """A value in one line. Numbers that JSON has no words for are nan, inf and -inf."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and value.lower() not in WORDS else json.dumps(value)
    return "null" if value is None else str(value).lower()


def written(value: Any, complete: bool) -> JSON:  # Any of the dataclasses that a scenario is made of.
    """The fields of a dataclass as plain values; without `complete` those that differ from their defaults."""
    chosen = [field.name for field in fields(value) if complete or not _is_default(value, field)]
    return {name: given for name in chosen if (given := _plain(getattr(value, name), complete)) is not None}


def _subject(subject: Subject, seed: int, complete: bool) -> JSON:
    # How large it is comes first, whether or not that is the default.
    tree: JSON = {"steps": subject.steps, "seed": seed, "envs": subject.envs}
    tree |= {name: given for name, given in written(subject, complete).items() if name not in tree}
    if not subject.script:
        tree.pop("script", None)
    return tree


def _moment(at: When, complete: bool) -> JSON:
    tree = written(at, complete)
    unused = {"occurrence"} if at.event is None else set()
    unused |= {"plus_steps"} if at.step is not None else set()
    return {key: value for key, value in tree.items() if key not in unused}


def _is_default(value: Any, field: "Field[Any]") -> bool:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return default is not MISSING and bool(getattr(value, field.name) == default)


def _plain(value: Any, complete: bool) -> Any:
    if is_dataclass(value):
        return written(value, complete)
    if isinstance(value, Enum):
        return value.value
    return [_plain(inner, complete) for inner in value] if isinstance(value, list | tuple) else value
