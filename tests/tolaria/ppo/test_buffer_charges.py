"""Accounting of death penalties in the buffer: whoever bears them, each costs exactly what it costs, whatever rewards are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PENALTY_ATTRIBUTIONS, PenaltyConfig, PpoConfig
from tolaria.ppo.penalty import Cause, Share
from tolaria.ppo.row import Row

HORIZON = 12
ATTRIBUTIONS = pytest.mark.parametrize("how", PENALTY_ATTRIBUTIONS)


def buffer_of(how: str, num_envs: int = 1, **settings: object) -> RolloutBuffer:
    config = PpoConfig(penalty_attribution=how, **settings)  # type: ignore[arg-type]  # a test names fields as it needs them
    buffer = RolloutBuffer(num_envs, HORIZON, config)
    buffer.begin(None)
    return buffer


def play(
    buffer: RolloutBuffer, env: int, deaths: dict[int, list[Cause]], first: int = 0, steps: int = HORIZON, scale: float = 1.0
) -> float:  # fmt: skip
    """Rows of one environment, each with a reward of its own, and a life after each death; returns what the deaths cost in all."""
    life, fresh, cost = 0, first == 0, 0.0
    for step in range(first, first + steps):
        if step in deaths:
            cost += buffer.charge(env, Row.death(step, life, None, -10.0, fresh), deaths[step]).amount
            life, fresh = life + 1, True
        else:
            buffer.remember(env, Row(step, life, None, scale * (step % 3 + env), fresh=fresh))
            fresh = False
    return cost


def borne(buffer: RolloutBuffer) -> list[float]:
    """What rows bear, exactly."""
    rows = [row for env in range(buffer.num_envs) for row in buffer.rows(env)]
    return [row.share for row in rows] + [row.reward for row in rows if row.penalized]


@ATTRIBUTIONS
@pytest.mark.parametrize("step", [0, 5, HORIZON - 1])
def test_a_death_anywhere_costs_its_penalty_once(how: str, step: int) -> None:
    buffer = buffer_of(how)
    assert play(buffer, 0, {step: [Cause(max(0, step - 3), 1.0)]}) == -10.0
    assert math.fsum(borne(buffer)) == -10.0
    assert [row.step for row in buffer.rows(0) if row.terminated] == [step]


@ATTRIBUTIONS
def test_two_deaths_in_a_rollout_cost_two_and_none_reaches_into_the_life_before(how: str) -> None:
    buffer = buffer_of(how)
    assert play(buffer, 0, {4: [Cause(1, 1.0)], 8: [Cause(2, 0.5), Cause(6, 0.5)]}) == -20.0
    assert math.fsum(borne(buffer)) == -20.0
    assert buffer.rows(0)[2].share == 0.0
    assert buffer.rows(0)[6].share == {"last": 0.0, "split": -2.5, "cause": -5.0}[how]
    assert buffer.rows(0)[8].reward == {"last": -10.0, "split": -7.5, "cause": -5.0}[how]


@ATTRIBUTIONS
def test_deaths_in_all_environments_at_once_cost_one_each(how: str) -> None:
    buffer = buffer_of(how, num_envs=5)
    for env in range(5):
        assert play(buffer, env, {7: [Cause(7 - env, 1.0)]}) == -10.0
    assert buffer.num_penalized == 5
    assert math.fsum(borne(buffer)) == -50.0


@ATTRIBUTIONS
def test_a_cause_in_the_rollout_before_leaves_its_share_with_the_last_row(how: str) -> None:
    buffer = buffer_of(how)
    play(buffer, 0, {}, steps=6)
    buffer.finish({0: 0.0})
    buffer.clear()
    buffer.begin(None)
    assert play(buffer, 0, {8: [Cause(5, 1.0)]}, first=6, steps=6) == -10.0
    assert borne(buffer) == [0.0] * 6 + [-10.0]


def test_a_cause_before_a_time_limit_is_of_another_life() -> None:
    buffer = buffer_of("cause")
    buffer.remember(0, Row(0, 0, None, 0.0, truncated=True, fresh=True))
    buffer.remember(0, Row(1, 0, None, 0.0, fresh=True))
    charged = buffer.charge(0, Row.death(2, 0, None, -10.0, False), [Cause(0, 1.0)])
    assert charged.shares == (Share(2, -10.0),)


@given(
    st.lists(st.tuples(st.integers(0, HORIZON - 1), st.floats(0.0, 1.0)), max_size=4),
    st.sets(st.integers(0, HORIZON - 1), max_size=4),
    st.sampled_from(PENALTY_ATTRIBUTIONS),
)
def test_whatever_is_blamed_the_deaths_of_a_rollout_cost_what_they_cost(
    blamed: list[tuple[int, float]], deaths: set[int], how: str
) -> None:
    whole = max(1.0, math.fsum(weight for _, weight in blamed))
    causes = [Cause(step, weight / whole) for step, weight in blamed]
    buffer = buffer_of(how)
    play(buffer, 0, dict.fromkeys(deaths, causes))
    assert math.fsum(borne(buffer)) == -10.0 * len(deaths)
    assert buffer.num_penalized == len(deaths)


@ATTRIBUTIONS
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_what_a_death_teaches_does_not_depend_on_the_scale_of_rewards(how: str, scale: float) -> None:
    buffer, calm = buffer_of(how), buffer_of(how)
    play(buffer, 0, {9: [Cause(3, 0.25), Cause(6, 0.75)]}, scale=scale)
    play(calm, 0, {}, scale=scale)
    for each in (buffer, calm):
        each.finish({0: 0.0})
        each.normalizer.restore({"count": 1000, "mean": 0.0, "squares": 1000 * scale**2, "returns": {}})
    ordinary = [step for step in range(HORIZON) if step != 9]
    taught = [(buffer.rewards - calm.rewards)[step, 0].item() for step in ordinary] + [buffer.rewards[9, 0].item()]
    assert math.fsum(taught) == pytest.approx(-10.0, abs=1e-6)
    expected = {"last": (0.0, 0.0, -10.0), "split": (-1.25, -3.75, -5.0), "cause": (-2.5, -7.5, 0.0)}[how]
    assert (taught[3], taught[6], taught[-1]) == pytest.approx(expected, abs=1e-6)


@ATTRIBUTIONS
def test_what_is_borne_stays_out_of_the_spread_of_returns(how: str) -> None:
    struck, alone = buffer_of(how, num_envs=2), buffer_of("last", num_envs=2)
    for buffer in (struck, alone):
        play(buffer, 0, {})
    play(struck, 1, {4: [Cause(2, 1.0)]}, steps=5)
    play(alone, 1, {4: []}, steps=5)
    struck.finish({0: 0.0})
    alone.finish({0: 0.0})
    assert struck.normalizer.std == alone.normalizer.std


def test_a_price_by_the_spread_of_returns_is_charged_at_the_spread_before_the_rollout() -> None:
    buffer = buffer_of("split", penalty=PenaltyConfig(mode="return_std"))
    buffer.normalizer.restore({"count": 1000, "mean": 0.0, "squares": 4000.0, "returns": {}})
    play(buffer, 0, {}, steps=4)
    charged = buffer.charge(0, Row.death(4, 0, None, -10.0, False), [Cause(1, 1.0)])
    assert charged.amount == -20.0
    assert charged.shares == (Share(1, -10.0), Share(4, -10.0))


def test_a_multiplier_learns_from_every_finished_rollout_and_is_saved_with_the_buffer() -> None:
    config = PenaltyConfig(mode="lagrangian", rate_max=0.25, multiplier_lr=1.0)
    buffer = buffer_of("last", penalty=config)
    play(buffer, 0, {step: [] for step in range(6)})
    buffer.finish({0: 0.0})
    # Six deaths in twelve rows are twice what is allowed.
    assert buffer.price.multiplier == 2.0
    other = buffer_of("last", penalty=config)
    other.restore(buffer.tensors(), buffer.facts())
    assert other.price.multiplier == 2.0


def test_after_a_setback_the_segment_goes_on_and_its_value_flows_back() -> None:
    buffer = buffer_of("split", gamma=0.5, gae_lambda=1.0)
    buffer.remember(0, Row(0, 0, None, 0.0, fresh=True))
    buffer.charge(0, Row.setback(1, 0, None, -10.0, False, None), [Cause(0, 1.0)])
    buffer.remember(0, Row(2, 1, None, 0.0))
    buffer.finish({0: 8.0})
    # Values are 0 without a controller: 0.5 * 8 behind the last row, a half of that and the penalty before it, and so on.
    assert buffer.advantages[:, 0].tolist() == [-5.0 + 0.5 * (-5.0 + 0.5 * 4.0), -5.0 + 0.5 * 4.0, 4.0]


def test_only_a_collapse_is_charged() -> None:
    with pytest.raises(AssertionError):
        buffer_of("split").charge(0, Row(0, 0, None, -10.0, fresh=True), [])
