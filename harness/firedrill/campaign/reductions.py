"""The ways in which a scenario can be made simpler, as trees of its file, the boldest first.

Whatever comes out here is only a proposal: the door of scenarios refuses what makes no sense, and a run decides whether it
still fails in the same way. Every proposal is simpler by one measure and worse by none, so that shrinking ends.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from firedrill.scenario.schema import JSON

Path = tuple[str | int, ...]
Proposals = Iterator[JSON]

# Larger is simpler here, or it is what the scenario is about.
KEPT = frozenset({"version", "name", "because", "tags", "expect", "verdict", "budget", "known_gap"})
SEED = ("subject", "seed")
# Without these the subject has its defaults, which are larger.
SIZES = frozenset({("subject", "steps"), ("subject", "envs"), ("subject", "batches_per_step"), SEED})
# Without it every element is struck.
PICK = "pick"


def fewer_faults(tree: JSON) -> Proposals:
    """Without some of the faults."""
    yield from _thinned(tree, ("faults",))


def shorter_script(tree: JSON) -> Proposals:
    """Without some of the decisions."""
    yield from _thinned(tree, ("subject", "script"))


def on_the_cpu(tree: JSON) -> Proposals:
    """Without a device of its own."""
    if "matrix" in tree:
        yield _without(tree, ("matrix",))


def fewer_environments(tree: JSON) -> Proposals:
    """All in one environment, or without one that nothing happens in."""
    count = tree["subject"]["envs"]
    if count > 1:
        yield _renumbered(tree, 1, lambda _: 0)
    for gone in reversed(range(count)):
        if count > 2 and gone not in _environments(tree):
            yield _renumbered(tree, count - 1, lambda env, gone=gone: env - (env > gone))  # type: ignore[misc]  # Bound while it is known.


def shorter(tree: JSON) -> Proposals:
    """A nearer horizon; what is scripted behind it goes along."""
    for steps in _smaller(tree["subject"]["steps"]):
        cut = _with(tree, ("subject", "steps"), steps)
        script = [line for line in cut["subject"].get("script", []) if line["step"] < steps]
        if "script" in cut["subject"]:
            cut["subject"]["script"] = script
        yield cut


def fewer_elements(tree: JSON) -> Proposals:
    """One element in the place of many."""
    for number, fault in enumerate(tree.get("faults", [])):
        target = fault.get("target")
        if target is not None and "slot" not in target and "index" not in target.get(PICK, {}):
            yield _with(tree, ("faults", number, "target", PICK), {"index": 0})


def without_settings(tree: JSON) -> Proposals:
    """With a default where something was set."""
    for path, _ in _leaves(tree, mappings=True):
        if path not in SIZES and path[-1] != PICK and PICK not in path:
            yield _without(tree, path)


def smaller_numbers(tree: JSON) -> Proposals:
    """Earlier, fewer, nearer to 0."""
    for path, value in _leaves(tree):
        if path != SEED and isinstance(value, int) and not isinstance(value, bool):
            yield from (_with(tree, path, less) for less in _smaller(value))


def simpler_values(tree: JSON) -> Proposals:
    """Numbers that are shorter to write."""
    for path, value in _leaves(tree):
        if isinstance(value, float):
            yield from (_with(tree, path, simple) for simple in _simple(value))


PASSES: tuple[Callable[[JSON], Proposals], ...] = (
    fewer_faults,
    on_the_cpu,
    shorter,
    fewer_environments,
    shorter_script,
    fewer_elements,
    without_settings,
    smaller_numbers,
    simpler_values,
)


def _thinned(tree: JSON, path: Path) -> Proposals:
    """Delta debugging (Zeller and Hildebrandt 2002): keep a part, then drop a part, in ever smaller parts."""
    items = _at(tree, path) or []
    size = len(items)
    while size > 1:
        size = (size + 1) // 2
        parts = [items[start : start + size] for start in range(0, len(items), size)]
        if 2 * size >= len(items) and len(items) > 2:
            yield from (_with(tree, path, part) for part in parts)
        yield from (_with(tree, path, [item for other in parts if other is not part for item in other]) for part in parts)
    if len(items) == 1:
        yield _with(tree, path, [])


def _smaller(value: int) -> Iterator[int]:
    step = value
    while step > 0:
        yield value - step
        step //= 2


def _rank(value: float) -> tuple[int, int]:
    known = [0.0, 1.0, math.nan, math.inf, -math.inf]
    order = next((place for place, other in enumerate(known) if value == other or (math.isnan(value) and math.isnan(other))), len(known))
    return order, len(repr(value))


def _simple(value: float) -> Iterator[float]:
    rounded = float(f"{value:.0e}") if math.isfinite(value) else value
    yield from (other for other in (0.0, 1.0, math.nan, math.inf, rounded) if _rank(other) < _rank(value))


def _leaves(tree: JSON, mappings: bool = False) -> Iterator[tuple[Path, Any]]:
    """Every value of the tree that may be changed, with its path; with `mappings` also every optional part."""

    def walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
        items: Sequence[tuple[str | int, Any]] = []
        if isinstance(value, dict):
            items = [(key, inner) for key, inner in value.items() if path or key not in KEPT]
        elif isinstance(value, list):
            items = list(enumerate(value))
        for key, inner in items:
            if mappings and isinstance(key, str) and path:
                yield (*path, key), inner
            if isinstance(inner, dict | list):
                yield from walk(inner, (*path, key))
            elif not mappings:
                yield (*path, key), inner

    return walk(tree, ())


def _environments(tree: JSON) -> set[int]:
    """Every environment that is named."""
    named = [fault["at"].get("env") for fault in tree.get("faults", [])] + [line.get("env") for line in tree["subject"].get("script", [])]
    return {env for names in named for env in (names if isinstance(names, list) else [names]) if isinstance(env, int)}


def _renumbered(tree: JSON, count: int, number: Callable[[int], int]) -> JSON:
    new = _with(tree, ("subject", "envs"), count)
    for part in [*(fault["at"] for fault in new.get("faults", [])), *new["subject"].get("script", [])]:
        env = part.get("env")
        if isinstance(env, list):
            numbers = sorted({number(one) for one in env})
            part["env"] = numbers if len(numbers) > 1 else numbers[0]
        elif isinstance(env, int):
            part["env"] = number(env)
    return new


def _at(tree: JSON, path: Path) -> Any:
    value: Any = tree
    for key in path:
        value = value.get(key) if isinstance(value, dict) else value[key]
    return value


def _with(tree: JSON, path: Path, value: Any) -> JSON:
    new = deepcopy(tree)
    _at(new, path[:-1])[path[-1]] = deepcopy(value)
    return new


def _without(tree: JSON, path: Path) -> JSON:
    new = deepcopy(tree)
    del _at(new, path[:-1])[path[-1]]
    return new
