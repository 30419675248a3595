from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.env.shapley import Worth, shapley
from tolaria.seeding import stream

PLAYERS = tuple("abcdefghi")


def game(seed: int) -> Worth:
    """A worth for every coalition, drawn once and for all, and zero for nobody."""

    def worth(coalitions: Sequence[frozenset[str]]) -> list[float]:
        return [float(stream(seed, *sorted(coalition)).normal()) if coalition else 0.0 for coalition in coalitions]

    return worth


def rng() -> np.random.Generator:
    return stream(0, "orders")


def test_two_players_that_work_well_together_share_what_that_brings() -> None:
    known = {"": 0.5, "a": 0.6, "b": 0.8, "ab": 1.0}
    found = shapley(("a", "b"), lambda asked: [known["".join(sorted(coalition))] for coalition in asked], rng())
    # a brings 0.1 alone and 0.2 after b; b brings 0.3 alone and 0.4 after a.
    assert found.values == {"a": pytest.approx(0.15), "b": pytest.approx(0.35)}
    assert (found.nobody, found.everybody, found.exact) == (0.5, 1.0, True)


@given(st.integers(1, 9), st.integers(0, 1000))
def test_the_values_add_up_to_what_all_are_worth_over_nobody(count: int, seed: int) -> None:
    found = shapley(PLAYERS[:count], game(seed), rng(), pairs=3)
    assert sum(found.values.values()) == pytest.approx(found.everybody - found.nobody, abs=1e-12)
    assert found.exact == (count <= 4)


@given(st.integers(1, 9), st.integers(0, 1000))
def test_who_changes_nothing_is_worth_nothing(count: int, seed: int) -> None:
    inner = game(seed)
    players = (*PLAYERS[: count - 1], "idle")
    found = shapley(players, lambda asked: inner([coalition - {"idle"} for coalition in asked]), rng(), pairs=3)
    assert found.values["idle"] == pytest.approx(0.0, abs=1e-12)


def test_what_players_bring_one_by_one_is_found_exactly_also_by_drawing() -> None:
    parts = dict(zip(PLAYERS, (0.5, -0.2, 0.1, 0.0, 0.3, 0.7, -0.1), strict=False))
    found = shapley(tuple(parts), lambda asked: [sum(parts[player] for player in coalition) for coalition in asked], rng(), pairs=1)
    assert not found.exact
    assert found.values == {player: pytest.approx(part) for player, part in parts.items()}


def test_an_order_and_its_reverse_leave_no_error_where_players_work_in_pairs() -> None:
    """v = |S|^2: one order gives its first player 1 and its last 13, and with the reverse each gets 7."""
    found = shapley(PLAYERS[:7], lambda asked: [float(len(coalition) ** 2) for coalition in asked], rng(), pairs=1)
    assert found.values == {player: pytest.approx(7.0) for player in PLAYERS[:7]}


def test_the_same_seed_draws_the_same_orders_and_another_does_not() -> None:
    first, again, other = (shapley(PLAYERS[:6], game(3), stream(seed, "orders"), pairs=2).values for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_many_players_take_no_factorial_of_questions() -> None:
    asked: list[int] = []

    def worth(coalitions: Sequence[frozenset[str]]) -> list[float]:
        asked.append(len(coalitions))
        return [float(len(coalition)) for coalition in coalitions]

    shapley([f"s{number}" for number in range(12)], worth, rng(), pairs=20)
    # 40 orders of 12 players, and nobody and everybody once.
    assert len(asked) == 1
    assert asked[0] <= 40 * 11 + 2


def test_nobody_cannot_be_valued() -> None:
    with pytest.raises(AssertionError, match="nobody"):
        shapley((), lambda _: [], rng())
