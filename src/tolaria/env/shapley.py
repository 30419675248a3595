"""Shapley values: what each of several players adds, averaged over all orders in which they could have come (Shapley, 1953).

They add up to what all of them together are worth over nobody (efficiency), whatever they do to one another. Up to
`EXACT_MAX` players every coalition is looked at. Above that, orders are drawn, each together with its reverse, because the two
err in opposite directions (Mitchell, Cooper, Frank and Holmes, 2022).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import factorial

import numpy as np

EXACT_MAX = 4

Worth = Callable[[Sequence[frozenset[str]]], list[float]]


@dataclass(frozen=True, slots=True)
class Values:
    """Each player's value, what nobody and what all are worth, and whether every coalition was looked at."""

    values: dict[str, float]
    nobody: float
    everybody: float
    exact: bool


def shapley(players: Sequence[str], worth: Worth, rng: np.random.Generator, pairs: int = 20) -> Values:
    """Values of the players; `worth` is asked once, for all coalitions that are needed. `pairs` of orders are drawn where they are many."""
    assert players, "nobody to value"
    if len(players) <= EXACT_MAX:
        coalitions = [frozenset(chosen) for size in range(len(players) + 1) for chosen in combinations(players, size)]
        known = dict(zip(coalitions, worth(coalitions), strict=True))
        values = {player: _exact(player, players, known) for player in players}
    else:
        orders = _antithetic(players, rng, pairs)
        # In the order in which they are met, each once, so that the same draw asks the same question.
        coalitions = list(dict.fromkeys(coalition for order in orders for coalition in _grown(order)))
        known = dict(zip(coalitions, worth(coalitions), strict=True))
        values = _sampled(players, orders, known)
    return Values(values, known[frozenset()], known[frozenset(players)], len(players) <= EXACT_MAX)


def _exact(player: str, players: Sequence[str], known: dict[frozenset[str], float]) -> float:
    count = len(players)
    others = [other for other in players if other != player]
    total = 0.0
    for size in range(count):
        weight = factorial(size) * factorial(count - size - 1) / factorial(count)
        for chosen in combinations(others, size):
            before = frozenset(chosen)
            total += weight * (known[before | {player}] - known[before])
    return total


def _antithetic(players: Sequence[str], rng: np.random.Generator, pairs: int) -> list[list[str]]:
    orders = []
    for _ in range(pairs):
        order = [players[index] for index in rng.permutation(len(players))]
        orders += [order, order[::-1]]
    return orders


def _grown(order: Sequence[str]) -> list[frozenset[str]]:
    """The coalitions that one order goes through, from nobody to all."""
    return [frozenset(order[:size]) for size in range(len(order) + 1)]


def _sampled(players: Sequence[str], orders: list[list[str]], known: dict[frozenset[str], float]) -> dict[str, float]:
    totals = dict.fromkeys(players, 0.0)
    for order in orders:
        for player, (before, after) in zip(order, pairwise(_grown(order)), strict=True):
            totals[player] += (known[after] - known[before]) / len(orders)
    return totals
