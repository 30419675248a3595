"""Quantities with units: "3 steps" and "60s". A number of steps may stand alone, a time may not."""

import re
from dataclasses import dataclass

from firedrill.scenario.document import Node
from firedrill.scenario.problem import Problem, nearest

WRITTEN = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)\s*([a-zA-Zµ%]*)")


@dataclass(frozen=True, slots=True)
class Dimension:
    """What a quantity measures: its units with their factors, an example, and whether a bare number is clear enough."""

    units: dict[str, float]
    example: str
    bare: bool
    whole: bool


STEPS = Dimension({"step": 1.0, "steps": 1.0}, "3 steps", bare=True, whole=True)
TIME = Dimension({"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}, "60s", bare=False, whole=False)

# By the key that they stand behind, wherever in the file.
QUANTITIES: dict[str, Dimension] = {
    "within": STEPS,
    "steps": STEPS,
    "plus_steps": STEPS,
    "for_steps": STEPS,
    "rollout_steps": STEPS,
    "checkpoint_every": STEPS,
    "wall": TIME,
}

# Stands for a quantity that could not be read, so that the one mistake is not reported twice.
PLACEHOLDER = 1


def read_quantity(node: Node, dimension: Dimension, problems: list[Problem]) -> int | float:
    """The number in the base unit, steps or seconds; a mistake is noted and a placeholder returned."""
    written = WRITTEN.fullmatch(str(node.value).strip())
    assert written is not None, "only what looks like a quantity is read as one"
    number, unit = float(written[1]), written[2]
    units = f"{', '.join(dimension.units)}, as in {dimension.example}"
    if not unit and not dimension.bare:
        problems.append(node.problem("FD014", f"{node.value} of what?", expected=f"a number with one of the units {units}"))
        return PLACEHOLDER
    if unit and unit not in dimension.units:
        suggestion = nearest(unit, dimension.units)
        problems.append(node.problem("FD014", f"{unit} is no unit here", expected=f"one of the units {units}", suggestion=suggestion))
        return PLACEHOLDER
    amount = number * dimension.units.get(unit, 1.0)
    if amount < 0 or (dimension.whole and amount != int(amount)):
        kind = "a whole number" if dimension.whole else "a time"
        problems.append(node.problem("FD015", f"{node.value} is out of range", expected=f"{kind}, 0 or more"))
        return PLACEHOLDER
    return int(amount) if dimension.whole else amount


def looks_like_quantity(value: object) -> bool:
    """Whether a value is a number, with or without something behind it; other words are left to the schema."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or (isinstance(value, str) and WRITTEN.fullmatch(value.strip()) is not None)
