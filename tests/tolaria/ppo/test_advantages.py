import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tolaria.ppo.advantages import gae, normalized, spread

# What follows a row: it goes on, it is terminal, a time limit cuts it.
KINDS = st.sampled_from(["on", "on", "on", "terminal", "cut", "both"])
FLOATS = st.floats(-10.0, 10.0)
COLUMN = st.lists(st.tuples(FLOATS, FLOATS, FLOATS, KINDS), min_size=7, max_size=7)


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def truths(*values: bool) -> Tensor:
    return torch.tensor(values)[:, None]


def brute_force(rows: list[tuple[float, float, float, str]], t: int, gamma: float, gae_lambda: float) -> float:
    """The sum over k of (gamma lambda)^k delta_{t+k}, up to the end of the segment."""
    total, weight = 0.0, 1.0
    for k in range(t, len(rows)):
        reward, value, bootstrap, kind = rows[k]
        if kind in {"terminal", "both"}:
            expected = 0.0
        elif kind == "cut":
            expected = bootstrap
        else:
            expected = rows[k + 1][1] if k + 1 < len(rows) else 0.0
        total += weight * (reward + gamma * expected - value)
        weight *= gamma * gae_lambda
        if kind != "on":
            break
    return total


@settings(deadline=None)
@given(st.lists(COLUMN, min_size=1, max_size=3), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_advantages_equal_brute_force(columns: list[list[tuple[float, float, float, str]]], gamma: float, gae_lambda: float) -> None:
    grid = [[[row[i] for row in rows] for rows in columns] for i in range(4)]
    rewards, values, bootstraps = (torch.tensor(grid[i], dtype=torch.float64).T for i in range(3))
    terminated = torch.tensor([[kind in {"terminal", "both"} for kind in kinds] for kinds in grid[3]]).T
    cut = torch.tensor([[kind in {"cut", "both"} for kind in kinds] for kinds in grid[3]]).T
    found = gae(rewards, values, terminated, cut, bootstraps, gamma, gae_lambda)
    wanted = [[brute_force(rows, t, gamma, gae_lambda) for t in range(7)] for rows in columns]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64).T, rtol=0.0, atol=1e-10)


def test_a_terminal_row_expects_nothing_and_a_cut_row_its_own_bootstrap() -> None:
    rewards, values, zeros = column(1.0, 1.0), column(0.5, 0.5), column(8.0, 8.0)
    terminal = gae(rewards, values, truths(True, True), truths(False, False), zeros, 0.5, 1.0)
    cut = gae(rewards, values, truths(False, False), truths(True, True), zeros, 0.5, 1.0)
    assert terminal.flatten().tolist() == [0.5, 0.5]
    assert cut.flatten().tolist() == [4.5, 4.5]


def test_with_lambda_one_advantages_are_discounted_returns_without_the_value() -> None:
    found = gae(
        column(1.0, 2.0, 4.0), column(3.0, 5.0, 7.0), truths(False, False, True), truths(*[False] * 3), column(*[0.0] * 3), 0.5, 1.0
    )
    assert found.flatten().tolist() == [1.0 + 1.0 + 1.0 - 3.0, 2.0 + 2.0 - 5.0, 4.0 - 7.0]


def test_a_long_good_prefix_does_not_outweigh_a_death_at_its_end() -> None:
    rewards = column(*[0.0] * 9, -10.0)
    found = gae(
        rewards, torch.zeros_like(rewards), truths(*[False] * 9, True), truths(*[False] * 10), torch.zeros_like(rewards), 0.99, 0.95
    )
    assert bool((found < 0.0).all())


def test_advantages_scale_with_rewards() -> None:
    rewards, values = column(1.0, -2.0, 3.0), column(0.5, 0.25, 1.0)
    ends, cut = truths(False, True, False), truths(False, False, True)
    once = gae(rewards, values, ends, cut, values, 0.9, 0.95)
    torch.testing.assert_close(gae(8.0 * rewards, 8.0 * values, ends, cut, 8.0 * values, 0.9, 0.95), 8.0 * once)


def test_a_broken_row_stays_in_its_segment() -> None:
    found = gae(column(1.0, float("nan")), column(0.0, 0.0), truths(True, True), truths(False, False), column(0.0, 0.0), 0.9, 0.9)
    assert found[0].item() == 1.0


ACTOR = truths(True, True, True, False)
NOBODY_DIED = truths(False, False, False, False)


def test_normalized_advantages_have_one_spread_and_rows_without_decision_none() -> None:
    found = normalized(column(1.0, 2.0, 3.0, 1000.0), ACTOR, NOBODY_DIED).flatten()
    torch.testing.assert_close(found, column(-(1.5**0.5), 0.0, 1.5**0.5, 0.0).flatten())


def test_one_row_keeps_its_sign() -> None:
    assert normalized(column(-3.0), truths(True), truths(False)).item() == -1.0


def test_a_rollout_of_deaths_only_is_not_averaged_to_nothing() -> None:
    found = normalized(column(-10.0, -10.0), truths(True, True), truths(True, True))
    assert found.flatten().tolist() == [-1.0, -1.0]


def test_a_death_does_not_shift_the_centre_of_the_others() -> None:
    found = normalized(column(1.0, 3.0, -10.0), truths(True, True, True), truths(False, False, True)).flatten()
    assert found[0] == -found[1]
    assert found[2] < -1.0


def test_noise_is_not_blown_up() -> None:
    assert normalized(column(1e-6, -1e-6), truths(True, True), truths(False, False)).abs().max().item() < 1e-4


def test_no_decisions_give_zeros() -> None:
    assert not bool(normalized(column(1.0, 2.0), truths(False, False), truths(False, False)).any())


def test_what_deaths_made_of_the_scale_holds_where_nobody_dies() -> None:
    assert normalized(column(-3.0), truths(True), truths(False), spread_min=6.0).item() == -0.5


def test_the_spread_is_that_of_rows_with_a_decision_around_those_without_a_penalty() -> None:
    found = spread(column(1.0, 3.0, -10.0, 500.0), truths(True, True, True, False), truths(False, False, True, False))
    assert math.isclose(found, math.sqrt((1.0 + 1.0 + 144.0) / 3.0))
