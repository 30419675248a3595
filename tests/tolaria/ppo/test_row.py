import math
from dataclasses import replace

import pytest

from tolaria.ppo.row import NonFiniteReward, Row


@pytest.mark.parametrize("reward", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_refused(reward: float) -> None:
    with pytest.raises(NonFiniteReward, match="step 4"):
        Row(step=4, life=0, record=None, reward=reward)


def test_a_death_is_a_terminal_row_with_the_penalty_and_nothing_after() -> None:
    row = Row.death(step=3, life=1, record=None, penalty=-10.0, fresh=True)
    assert (row.step, row.life, row.reward, row.terminated, row.truncated) == (3, 1, -10.0, True, False)
    assert (row.bootstrap, row.fresh, row.penalized, row.ended) == (0.0, True, True, True)


@pytest.mark.parametrize(("bootstrap", "truncated"), [(None, False), (2.0, True), (0.0, True)])
def test_a_setback_goes_on_or_is_cut_but_never_terminal(bootstrap: float | None, truncated: bool) -> None:
    row = Row.setback(step=3, life=1, record=None, penalty=-10.0, fresh=False, bootstrap=bootstrap)
    assert (row.reward, row.penalized, row.terminated, row.truncated) == (-10.0, True, False, truncated)
    assert row.bootstrap == (bootstrap or 0.0)


def test_a_row_is_charged_where_it_collapsed_or_shares_in_a_collapse() -> None:
    plain = Row(step=3, life=1, record=None, reward=0.5)
    assert (plain.charged, replace(plain, share=-1.0).charged, replace(plain, penalized=True).charged) == (False, True, True)


def test_a_penalty_that_is_no_number_is_refused() -> None:
    with pytest.raises(NonFiniteReward):
        Row.death(step=3, life=1, record=None, penalty=math.nan, fresh=False)


@pytest.mark.parametrize(
    "wrong", [{"terminated": True, "truncated": True}, {"terminated": True, "bootstrap": 1.0}, {"penalized": True, "share": -1.0}]
)
def test_a_row_ends_in_one_way(wrong: dict[str, bool]) -> None:
    with pytest.raises(AssertionError):
        Row(step=0, life=0, record=None, reward=0.0, **wrong)
