"""Random parameters for any fault of the table, drawn by the types of its fields, so that a new fault is drawn by being listed."""

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from firedrill.faults import FAULTS
from firedrill.scenario.schema import JSON

NUMBERS = (float("nan"), float("inf"), float("-inf"), 0.0, 1e-3, 0.5, 1.5, 3.0, 100.0, 1e6, 1e30, -1.0)
WHOLE_MAX = 8


def parameters_of(kind: str, rng: np.random.Generator) -> JSON:
    """What may stand under `with:`. Not all of it makes sense; the door of scenarios says so."""
    hints = get_type_hints(FAULTS[kind])
    # A fault is a dataclass, which its type does not say.
    given = {field.name: _drawn(hints[field.name], rng) for field in fields(FAULTS[kind])}  # type: ignore[arg-type]
    return {name: value for name, value in given.items() if value is not None}


def _drawn(hint: Any, rng: np.random.Generator) -> Any:  # As many types as fields have.
    if get_origin(hint) is Literal:
        return choice(get_args(hint), rng)
    if hint is bool:
        return bool(rng.integers(2))
    if hint is int:
        return int(rng.integers(WHOLE_MAX))
    # Of what cannot be drawn the default is taken.
    return choice(NUMBERS, rng) if hint is float else None


def choice(options: Any, rng: np.random.Generator) -> Any:  # Of whatever there is.
    """One of several, as it is: numpy's own choice would make numbers of its own kind of them."""
    return options[int(rng.integers(len(options)))]
