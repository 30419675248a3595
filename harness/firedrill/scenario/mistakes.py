"""Pydantic's errors as problems of a file: with a place, a code, and the words that a reader of the file knows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from firedrill.faults.fault import Unfit
from firedrill.scenario.document import Entry, Node
from firedrill.scenario.problem import Problem, nearest, one_of
from firedrill.scenario.schema import JSON, model_schema

Path = tuple[str | int, ...]

EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dataclass_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
MISSING = {"missing", "union_tag_not_found"}
CHOICE = {"literal_error", "enum"}
RANGE = ("greater_than", "less_than", "too_short", "too_long", "string_too_short", "string_too_long")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an error's path leads in the file, and how much of the path is there to be found."""

    node: Node
    path: Path
    entry: Entry | None

    @property
    def key(self) -> Node:
        """The key before the value, or the value where none is."""
        return self.entry.key if self.entry else self.node


def locate(root: Node, path: Sequence[str | int]) -> Spot:
    """Follow a path as far as the file goes. What is not in the file, such as the name of a union's member, is passed over."""
    spot = Spot(root, (), None)
    for part in path:
        value = spot.node.value
        if isinstance(value, dict) and isinstance(part, str) and part in value:
            spot = Spot(value[part].node, (*spot.path, part), value[part])
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            spot = Spot(value[part], (*spot.path, part), None)
    return spot


def problems_of(error: ValidationError, root: Node, above: Path = ()) -> list[Problem]:
    """Every error of a validation, one problem for each place; `above` leads to the part of the file that was validated."""
    groups: dict[Path, list[ErrorDetails]] = {}
    problems: list[Problem] = []
    for detail in error.errors(include_url=False):
        location = (*above, *detail["loc"])
        if detail["type"] in UNKNOWN_KEY:
            problems.append(_unknown_key(root, location))
        elif detail["type"] in MISSING:
            key = "do" if detail["type"] == "union_tag_not_found" else str(location[-1])
            where = location if detail["type"] == "union_tag_not_found" else location[:-1]
            problems.append(locate(root, where).node.problem("FD012", f"{key} is missing", expected=f"the key {key}"))
        else:
            groups.setdefault(_path(root, location, detail), []).append(detail)
    # What is wrong inside a value explains what is wrong with it, as "a list" does where an element of the list is bad.
    inner = [path for path in groups if not any(other != path and other[: len(path)] == path for other in groups)]
    return [*problems, *(_wrong_value(locate(root, path), groups[path]) for path in inner)]


def _path(root: Node, location: Path, detail: ErrorDetails) -> Path:
    if detail["type"] == "union_tag_invalid":
        location = (*location, "do")
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Unfit):
        location = (*location, cause.field)
    return locate(root, location).path


def _unknown_key(root: Node, location: Path) -> Problem:
    word = str(location[-1])
    parent = locate(root, location[:-1])
    known = known_keys(location[:-1])
    if parent.path[:1] == ("expect",) and len(parent.path) == 2:
        entry = parent.node.value.get(word) if isinstance(parent.node.value, dict) else None
        node = entry.key if entry else parent.node
        return node.problem("FD013", f"there is no oracle {word}", expected=one_of(known), suggestion=nearest(word, known))
    shown = {"parameters": "with"}
    spot = locate(root, location)
    keys = [shown.get(key, key) for key in known]
    return spot.key.problem("FD010", f"the key {word} is unknown here", expected=one_of(keys), suggestion=nearest(word, keys))


def _wrong_value(spot: Spot, details: list[ErrorDetails]) -> Problem:
    node, value = spot.node, spot.node.value
    types = {detail["type"] for detail in details}
    cause = next((error for detail in details if isinstance(error := detail.get("ctx", {}).get("error"), ValueError)), None)
    if cause is not None:
        inside_moment = spot.path[:1] == ("faults",) and "at" in spot.path
        code = "FD016" if inside_moment and isinstance(cause, Unfit) else "FD015" if isinstance(cause, Unfit) else "FD013"
        return node.problem(code, str(cause))
    choices = [word for detail in details for word in _choices(detail)]
    wanted = [EXPECTED[detail["type"]] for detail in details if detail["type"] in EXPECTED]
    if choices and (isinstance(value, str) or not wanted):
        kind = "fault" if "union_tag_invalid" in types else "value"
        return node.problem("FD013", f"there is no {kind} {value} here", expected=one_of(choices), suggestion=nearest(value, choices))
    if wanted:
        expected = " or ".join(dict.fromkeys([*wanted, *choices]))
        return node.problem("FD011", f"{_shown(value)} is of the wrong type", expected=expected)
    code = "FD015" if any(kind.startswith(RANGE) for kind in types) else "FD013"
    return node.problem(code, f"{_shown(value)} does not go", expected=_bound(details[0]))


def _bound(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "string_too_short":
            return f"a text of at least {context['min_length']} characters"
        case "too_short":
            return f"at least {context['min_length']} in the list"
        case "string_pattern_mismatch":
            return "small letters and digits in words joined by hyphens, as in nan-weight"
    return detail["msg"].removeprefix("Input should be ")


def _choices(detail: ErrorDetails) -> list[str]:
    context = detail.get("ctx", {})
    if detail["type"] in CHOICE:
        return re.findall(r"'([^']+)'", str(context["expected"])) or [str(context["expected"])]
    return re.findall(r"'([^']+)'", str(context["expected_tags"])) if detail["type"] == "union_tag_invalid" else []


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)


def known_keys(path: Sequence[str | int]) -> list[str]:
    """The keys that may stand at a path, by the schema; a path may name the member of a union, as pydantic's do."""
    whole = model_schema()
    here = _resolved(whole, whole)
    for part in path:
        here = _resolved(whole, _step(whole, here, part))
    return list(here.get("properties", {}))


def _step(whole: JSON, here: JSON, part: str | int) -> JSON:
    if isinstance(part, int):
        return JSON(here.get("items", {}))
    tagged = here.get("discriminator", {}).get("mapping", {})
    if part in tagged:
        return {"$ref": tagged[part]}
    # Without a tag, what the members have in common can be read in any of them.
    shape = _resolved(whole, here["oneOf"][0]) if "oneOf" in here else here
    return JSON(shape.get("properties", {}).get(part, {}))


def _resolved(whole: JSON, here: JSON) -> JSON:
    while True:
        if "$ref" in here:
            here = whole["$defs"][here["$ref"].removeprefix("#/$defs/")]
        elif "anyOf" in here:
            members = [_resolved(whole, member) for member in here["anyOf"]]
            return next((member for member in members if "properties" in member or "items" in member), {})
        else:
            return here
