"""Events as lines of strict JSON and back, driven by the type hints of the events.

A line holds `seq`, `event` (the kind), `at` and then the fields in the order of the class. NaN and the infinities,
which JSON cannot say, are the strings "nan", "inf" and "-inf". Reading refuses what the hints do not allow. Fields that are
`UNRECORDED` are not on the line.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import NoReturn, get_args, get_origin, get_type_hints

from tolaria.errors import TolariaError
from tolaria.telemetry.event import Event, is_recorded
from tolaria.telemetry.kinds import kind_of

# What a line holds as it is, which most of every event is; it is asked for first.
PLAIN = frozenset({str, int, bool})
# Made once: an encoder that is made for every line costs as much as a short one.
LINES = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class CodecError(TolariaError):
    """An event and its type hints disagree; says in which kind and which field."""

    def __init__(self, kind: str, field: str, complaint: str) -> None:
        super().__init__(f"{kind}.{field}: {complaint}" if field else f"{kind}: {complaint}")
        self.kind = kind
        self.field = field


def to_line(seq: int, event: Event) -> str:
    """One line without its newline. Raises `CodecError` where a value is not of its hinted type, a tensor say."""
    kind = kind_of(type(event))
    found = _encode_fields(event, kind, "")
    # Logical time leaves out what has no meaning, because every line carries it.
    found["at"] = {name: value for name, value in _encode_fields(event.at, kind, "at.").items() if value is not None}
    line = {"seq": seq, "event": kind, **found}
    return LINES.encode(line)


def from_line(line: str, kinds: Mapping[str, type[Event]]) -> tuple[int, Event]:
    """The number and the event of a line; `kinds` is the table of events that may occur."""
    found = _parse(line)
    seq = found.pop("seq", None)
    kind = found.pop("event", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise CodecError(str(kind), "", f"no such kind of event, known are {', '.join(sorted(kinds))}")
    if type(seq) is not int or seq < 0:
        raise CodecError(kind, "seq", f"found {seq!r}, expected a number from 0")
    at = found.get("at")
    if isinstance(at, dict):
        found["at"] = {"env": None, "batch": None, **at}
    event = _decode_fields(found, kinds[kind], kind, "")
    assert isinstance(event, Event)
    return seq, event


def _parse(line: str) -> dict[str, object]:
    try:
        found = json.loads(line, parse_constant=_refuse_constant, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise CodecError("line", "", f"not strict JSON: {error}") from error
    if not isinstance(found, dict):
        raise CodecError("line", "", f"found {type(found).__name__}, expected an object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key stands twice among {[name for name, _ in pairs]}")
    return found


@cache
def _hints(owner: type) -> dict[str, object]:
    hints = get_type_hints(owner)
    return {field.name: hints[field.name] for field in fields(owner) if is_recorded(field)}


def _encode_fields(value: object, kind: str, prefix: str) -> dict[str, object]:
    owner: type = type(value)
    return {name: _encode(getattr(value, name), hint, kind, prefix + name) for name, hint in _hints(owner).items()}


def _encode(value: object, hint: object, kind: str, place: str) -> object:
    if type(value) is hint and hint in PLAIN:
        return value
    if isinstance(hint, UnionType):
        return None if value is None else _encode(value, _only_member(hint), kind, place)
    if _is_tuple(hint):
        if not isinstance(value, tuple):
            raise _wrong(value, "a tuple", kind, place)
        members = _members(hint, len(value), kind, place)
        return [_encode(one, member, kind, f"{place}[{i}]") for i, (one, member) in enumerate(zip(value, members, strict=True))]
    assert isinstance(hint, type), hint
    if hint is float and isinstance(value, float | int) and not isinstance(value, bool):
        return _encode_number(float(value))
    if type(value) is not hint:
        raise _wrong(value, hint.__name__, kind, place)
    if is_dataclass(hint):
        return _encode_fields(value, kind, f"{place}.")
    return value.value if isinstance(value, StrEnum) else value


def _encode_number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _decode_fields(found: Mapping[str, object], owner: type, kind: str, prefix: str) -> object:
    hints = _hints(owner)
    for name in found:
        if name not in hints:
            raise CodecError(kind, prefix + name, "unknown field")
    for name in hints:
        if name not in found:
            raise CodecError(kind, prefix + name, "missing field")
    return owner(**{name: _decode(found[name], hint, kind, prefix + name) for name, hint in hints.items()})


def _decode(found: object, hint: object, kind: str, place: str) -> object:
    if type(found) is hint and hint in PLAIN:
        return found
    if isinstance(hint, UnionType):
        return None if found is None else _decode(found, _only_member(hint), kind, place)
    if _is_tuple(hint):
        if not isinstance(found, list):
            raise _wrong(found, "a list", kind, place)
        members = _members(hint, len(found), kind, place)
        return tuple(_decode(one, member, kind, f"{place}[{i}]") for i, (one, member) in enumerate(zip(found, members, strict=True)))
    assert isinstance(hint, type), hint
    if is_dataclass(hint):
        if not isinstance(found, dict):
            raise _wrong(found, f"an object ({hint.__name__})", kind, place)
        return _decode_fields(found, hint, kind, f"{place}.")
    if hint is float:
        return _decode_number(found, kind, place)
    if issubclass(hint, StrEnum):
        words = _words(hint)
        if not isinstance(found, str) or found not in words:
            raise _wrong(found, f"one of {', '.join(words)}", kind, place)
        return words[found]
    if type(found) is not hint:
        raise _wrong(found, hint.__name__, kind, place)
    return found


def _decode_number(found: object, kind: str, place: str) -> float:
    if isinstance(found, str) and found in NONFINITE:
        return NONFINITE[found]
    # The parser reads 1e999 as an infinity, which no writer of ours has written.
    if isinstance(found, float | int) and not isinstance(found, bool) and math.isfinite(found):
        return float(found)
    raise _wrong(found, "a number", kind, place)


@cache
def _arguments(hint: object) -> tuple[object, ...]:
    return get_args(hint)


@cache
def _only_member(hint: UnionType) -> object:
    members = [member for member in get_args(hint) if member is not NoneType]
    assert len(members) == 1, f"{hint}: only X | None can be told apart on a line"
    return members[0]


@cache
def _is_tuple(hint: object) -> bool:
    return get_origin(hint) is tuple


@cache
def _words(hint: type[StrEnum]) -> dict[str, StrEnum]:
    return {member.value: member for member in hint}


def _members(hint: object, length: int, kind: str, place: str) -> tuple[object, ...]:
    members = _arguments(hint)
    if members[-1] is Ellipsis:
        return (members[0],) * length
    if len(members) != length:
        raise CodecError(kind, place, f"found {length} members, expected {len(members)}")
    return members


def _wrong(value: object, expected: str, kind: str, place: str) -> CodecError:
    return CodecError(kind, place, f"found {value!r}, expected {expected}")
