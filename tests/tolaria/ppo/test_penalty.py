import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.errors import ConfigError
from tolaria.ppo.config import PENALTY_ATTRIBUTIONS, PenaltyConfig
from tolaria.ppo.penalty import Cause, Price, Share, shares

AMOUNTS = st.floats(-1e6, -1e-6)
BLAMED = st.lists(st.tuples(st.integers(0, 9), st.floats(0.0, 1.0)), max_size=6)


@given(AMOUNTS, BLAMED, st.sets(st.integers(0, 9)), st.sampled_from(PENALTY_ATTRIBUTIONS))
def test_shares_add_up_to_the_penalty_to_the_last_bit(amount: float, blamed: list[tuple[int, float]], held: set[int], how: str) -> None:
    whole = max(1.0, math.fsum(weight for _, weight in blamed))
    causes = [Cause(step, weight / whole) for step, weight in blamed]
    found = shares(amount, 10, causes, sorted(held), how)
    assert math.fsum(share.amount for share in found) == amount
    total = 0.0
    for share in found:
        total += share.amount
    assert total == amount
    assert all(share.amount <= 0.0 for share in found)
    assert found[-1].step == 10
    assert {share.step for share in found[:-1]} <= held & {cause.step for cause in causes}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("last", (Share(9, -10.0),)),
        ("split", (Share(2, -1.25), Share(5, -3.75), Share(9, -5.0))),
        ("cause", (Share(2, -2.5), Share(5, -7.5), Share(9, 0.0))),
    ],
)
def test_causes_bear_by_their_weight_what_is_for_causes(how: str, expected: tuple[Share, ...]) -> None:
    assert shares(-10.0, 9, [Cause(5, 0.75), Cause(2, 0.25)], range(9), how) == expected


def test_what_a_cause_out_of_reach_would_bear_stays_with_the_last_row() -> None:
    assert shares(-10.0, 9, [Cause(5, 0.5), Cause(2, 0.5)], range(4, 9), "cause") == (Share(5, -5.0), Share(9, -5.0))


def test_two_seeds_with_the_same_cause_charge_it_once_for_both() -> None:
    assert shares(-10.0, 9, [Cause(5, 0.25), Cause(5, 0.5)], range(9), "cause") == (Share(5, -7.5), Share(9, -2.5))


def test_a_collapse_in_the_step_of_its_own_cause_costs_this_row_everything() -> None:
    assert shares(-10.0, 9, [Cause(9, 1.0)], range(9), "split") == (Share(9, -10.0),)


@pytest.mark.parametrize("how", PENALTY_ATTRIBUTIONS)
def test_causes_that_weigh_more_than_one_are_refused_so_that_no_death_is_paid(how: str) -> None:
    with pytest.raises(ConfigError, match=r"causes: found 1\.8, expected weights that add up to at most 1"):
        shares(-10.0, 10, [Cause(3, 0.9), Cause(4, 0.9)], [3, 4], how)


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan, math.inf])
def test_a_weight_that_is_no_part_is_refused(weight: float) -> None:
    with pytest.raises(ConfigError, match="weights from 0 to 1"):
        Cause(3, weight)


def test_weights_that_rounding_has_made_too_heavy_pay_nobody() -> None:
    # A third in single precision, three times, and a little more.
    found = shares(-10.0, 10, [Cause(step, 0.3333335) for step in (3, 4, 5)], [3, 4, 5], "cause")
    assert found[-1].amount <= 0.0
    assert math.fsum(share.amount for share in found) == -10.0


def test_a_fixed_price_is_what_is_owed() -> None:
    price = Price(PenaltyConfig())
    price.learn(100, 50)
    assert price.factor(123.0) == 1.0


@pytest.mark.parametrize(("std", "factor"), [(0.0, 0.05), (2.0, 2.0), (1e6, 10.0)])
def test_a_price_by_the_spread_of_returns_is_never_nothing_and_never_without_end(std: float, factor: float) -> None:
    assert Price(PenaltyConfig(mode="return_std")).factor(std) == factor


def test_a_multiplier_rises_above_the_allowed_rate_and_falls_below_it_within_bounds() -> None:
    price = Price(PenaltyConfig(mode="lagrangian", rate_max=0.01, multiplier_lr=0.5))
    price.learn(100, 3)
    # Three times the rate is two whole rates too many.
    assert price.factor(0.0) == 2.0
    price.learn(100, 0)
    assert price.factor(0.0) == 1.5
    price.learn(100, 100)
    assert price.factor(0.0) == 10.0
    for _ in range(30):
        price.learn(100, 0)
    assert price.factor(0.0) == 0.05
    price.learn(0, 0)
    assert price.factor(0.0) == 0.05


def test_a_multiplier_comes_back_from_its_facts() -> None:
    one, other = (Price(PenaltyConfig(mode="lagrangian")) for _ in range(2))
    one.learn(100, 7)
    other.restore(one.facts())
    assert other.factor(0.0) == one.factor(0.0) != 1.0
