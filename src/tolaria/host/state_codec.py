"""A slot's state as plain values and back. Nothing is defaulted: a missing or unknown key is an error."""

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import TypeVar

from tolaria.errors import ConfigError
from tolaria.lifecycle.alpha import Curve, Ramp
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import Stage

E = TypeVar("E", bound=StrEnum)

SLOT_KEYS = {field.name for field in fields(SlotState)}
RAMP_KEYS = {field.name for field in fields(Ramp)}


def slot_to_dict(state: SlotState) -> dict[str, object]:
    """Every field by name; enums as their words, the ramp as a dictionary of its own."""
    values: dict[str, object] = {name: _plain(getattr(state, name)) for name in sorted(SLOT_KEYS - {"ramp"})}
    values["ramp"] = {name: _plain(getattr(state.ramp, name)) for name in sorted(RAMP_KEYS)}
    return values


def slot_from_dict(values: object, path: str = "slot") -> SlotState:
    """The state again; raises `ConfigError` with the path of what is missing, unknown or impossible."""
    read = expect_keys(path, values, SLOT_KEYS)
    blueprint = read["blueprint"]
    if blueprint is not None and not isinstance(blueprint, str):
        raise ConfigError(f"{path}.blueprint", blueprint, "a name or nothing")
    state = SlotState(
        slot=_text(read, "slot", path),
        stage=_word(Stage, read, "stage", path),
        blueprint=blueprint,
        blend=_word(Blend, read, "blend", path),
        generation=_count(read, "generation", path),
        ramp=_ramp(read["ramp"], f"{path}.ramp"),
        blend_target=_number(read, "blend_target", path),
        blend_steps=_count(read, "blend_steps", path),
        blend_curve=_word(Curve, read, "blend_curve", path),
        age=_count(read, "age", path),
        steps_in_stage=_count(read, "steps_in_stage", path),
        contribution=None if read["contribution"] is None else _number(read, "contribution", path),
        contribution_error=None if read["contribution_error"] is None else _number(read, "contribution_error", path),
        magnitude=None if read["magnitude"] is None else _number(read, "magnitude", path),
    )
    if state.occupied and state.blueprint is None:
        raise ConfigError(f"{path}.blueprint", None, f"the blueprint of a seed that is {state.stage.value}")
    return state


def expect_keys(path: str, values: object, keys: set[str]) -> Mapping[str, object]:
    """The mapping, if it has exactly these keys."""
    if not isinstance(values, Mapping):
        raise ConfigError(path, values, "a mapping")
    if missing := sorted(keys - values.keys()):
        raise ConfigError(path, sorted(values), f"also the keys {', '.join(missing)}")
    if unknown := sorted(map(str, values.keys() - keys)):
        raise ConfigError(path, unknown, f"only the keys {', '.join(sorted(keys))}")
    return values


def _plain(value: object) -> object:
    return value.value if isinstance(value, StrEnum) else value


def _ramp(values: object, path: str) -> Ramp:
    read = expect_keys(path, values, RAMP_KEYS)
    start, target = _number(read, "start", path), _number(read, "target", path)
    total, done = _count(read, "steps_total", path), _count(read, "steps_done", path)
    if not (0.0 <= start <= 1.0 and 0.0 <= target <= 1.0 and done <= total):
        raise ConfigError(path, dict(read), "alphas in [0, 1] and no more steps done than there are")
    return Ramp(start, target, total, done, _word(Curve, read, "curve", path))


def _word(words: type[E], values: Mapping[str, object], key: str, path: str) -> E:
    found = values[key]
    for word in words:
        if word.value == found:
            return word
    raise ConfigError(f"{path}.{key}", found, f"one of {', '.join(words)}")


def _text(values: Mapping[str, object], key: str, path: str) -> str:
    found = values[key]
    if not isinstance(found, str):
        raise ConfigError(f"{path}.{key}", found, "text")
    return found


def _count(values: Mapping[str, object], key: str, path: str) -> int:
    found = values[key]
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ConfigError(f"{path}.{key}", found, "a whole number, 0 or more")
    return found


def _number(values: Mapping[str, object], key: str, path: str) -> float:
    found = values[key]
    if not isinstance(found, (int, float)) or isinstance(found, bool):
        raise ConfigError(f"{path}.{key}", found, "a number")
    return float(found)
