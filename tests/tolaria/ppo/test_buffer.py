import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.policy.policy import Record
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.row import Row
from tolaria.ppo.update import recomputed_log_probs

CONFIG = PpoConfig(gamma=0.5, gae_lambda=1.0)


def buffer_of(*columns: list[Row]) -> RolloutBuffer:
    buffer = RolloutBuffer(len(columns), 10, CONFIG)
    buffer.begin(None)
    for env, rows in enumerate(columns):
        for row in rows:
            buffer.remember(env, row)
    return buffer


def plain(step: int, reward: float, **rest: bool) -> Row:
    return Row(step, 0, None, reward, fresh=step == 0, **rest)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_the_penalty_teaches_the_same_whatever_the_spread_of_rewards(scale: float) -> None:
    healthy = [plain(step, scale * (-1.0) ** step) for step in range(8)]
    buffer = buffer_of(healthy, [plain(0, scale), Row.death(1, 0, None, -10.0, fresh=False)])
    buffer.finish({0: 0.0})
    assert buffer.rewards[1, 1].item() == -10.0
    assert buffer.rows(1)[1].reward == -10.0
    assert buffer.advantages[1, 1].item() == -10.0


def test_rewards_are_divided_by_the_spread_of_returns() -> None:
    rows = [plain(step, 5.0 * (step % 2)) for step in range(6)]
    buffer = buffer_of(rows)
    buffer.finish({0: 0.0})
    assert buffer.normalizer.std > 0.0
    assert buffer.rewards[1, 0].item() == pytest.approx(5.0 / buffer.normalizer.std)
    assert [row.reward for row in buffer.rows(0)] == [0.0, 5.0, 0.0, 5.0, 0.0, 5.0]


def test_the_spread_is_frozen_until_the_rollout_is_finished() -> None:
    buffer = buffer_of([plain(step, 7.0 * step) for step in range(5)])
    assert buffer.normalizer.scale == 1.0
    buffer.finish({0: 0.0})
    assert buffer.normalizer.scale != 1.0


def test_a_struck_environment_leaves_the_spread_as_if_its_row_had_not_been() -> None:
    healthy = [plain(step, float(step)) for step in range(4)]
    struck = buffer_of(healthy, [Row.death(0, 0, None, -10.0, fresh=True)])
    alone = buffer_of(healthy, [])
    struck.finish({0: 0.0})
    alone.finish({0: 0.0})
    assert struck.normalizer.std == alone.normalizer.std


def test_an_unfinished_end_takes_the_value_of_what_followed() -> None:
    buffer = buffer_of([plain(0, 1.0)], [plain(0, 1.0, terminated=True)])
    buffer.finish({0: 8.0, 1: 100.0})
    assert buffer.advantages.tolist() == [[1.0 + 0.5 * 8.0, 1.0]]


def test_a_missing_value_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match=r"environments \[1\]"):
        buffer_of([plain(0, 1.0, terminated=True)], [plain(0, 1.0)]).finish({0: 1.0})


def test_an_environment_that_is_retired_leaves_the_others_as_they_are() -> None:
    long = [plain(step, 0.0) for step in range(4)]
    ragged = buffer_of(long, [Row.death(0, 0, None, -10.0, fresh=True)], [])
    ragged.finish({0: 2.0})
    assert ragged.advantages[:, 0].tolist() == [0.125, 0.25, 0.5, 1.0]
    assert ragged.advantages[:, 1].tolist() == [-10.0, 0.0, 0.0, 0.0]
    assert ragged.advantages[:, 2].tolist() == [0.0] * 4


def test_credit_does_not_cross_a_death_in_the_middle() -> None:
    rows = [plain(0, 1.0), Row.death(1, 0, None, -10.0, fresh=False), Row(2, 1, None, 1.0, fresh=True)]
    buffer = buffer_of(rows)
    buffer.finish({0: 0.0})
    assert buffer.advantages.flatten().tolist()[1:] == [-10.0, pytest.approx(1.0 / buffer.normalizer.scale)]


@pytest.mark.parametrize("at", [0, 1, 4, 8, 9])
def test_a_death_in_any_step_is_exactly_one_penalized_terminal_row(at: int) -> None:
    rows = [Row.death(t, 0, None, -10.0, fresh=t == 0) if t == at else Row(t, 0, None, 1.0, fresh=t in {0, at + 1}) for t in range(10)]
    buffer = buffer_of(rows)
    buffer.finish({0: 0.0})
    assert [row.step for row in buffer.rows(0) if row.penalized and row.terminated and not row.truncated] == [at]
    assert (buffer.num_rows, buffer.num_penalized) == (10, 1)


def test_a_row_after_an_end_is_fresh_and_no_other_is() -> None:
    with pytest.raises(AssertionError):
        buffer_of([plain(0, 1.0, terminated=True), Row(1, 1, None, 1.0, fresh=False)])
    with pytest.raises(AssertionError):
        buffer_of([plain(0, 1.0), Row(1, 1, None, 1.0, fresh=True)])


def test_a_cleared_buffer_carries_no_marks(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play(deaths=frozenset({(0, 0), (3, 1)}), forced=frozenset({(2, 2)}))
    played.finish()
    buffer: RolloutBuffer = played.buffer
    assert buffer.num_penalized == 2
    buffer.clear()
    played.play()
    played.finish()
    assert buffer.num_penalized == 0
    assert not bool(buffer.stacked().penalized.any() | buffer.stacked().forced.any())


def test_a_forgotten_environment_gives_no_rows_before_its_next_life() -> None:
    buffer = buffer_of([plain(0, 0.5), plain(1, 0.0)], [plain(0, 1.0)])
    buffer.forget(0)
    buffer.remember(0, Row(2, 1, None, 0.0, fresh=True))
    assert [row.step for row in buffer.rows(0)] == [2]
    assert len(buffer.rows(1)) == 1


def test_a_rollout_without_rows_has_no_advantages() -> None:
    buffer = buffer_of([], [])
    buffer.finish({})
    assert tuple(buffer.advantages.shape) == (0, 2)


def test_advantages_are_the_same_however_often_they_are_asked_for(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play(deaths=frozenset({(3, 1)}))
    played.finish()
    assert torch.equal(played.buffer.advantages, played.buffer.advantages)


def test_a_rollout_that_was_stopped_in_the_middle_goes_on_alike(rollout: Callable[..., Any]) -> None:
    whole, stopped, resumed = rollout(), rollout(), rollout(seed=77)
    whole.play(deaths=frozenset({(2, 0)}))
    stopped.play(deaths=frozenset({(2, 0)}), steps=range(4))
    facts = json.loads(json.dumps(stopped.buffer.facts()))
    resumed.buffer.restore(stopped.buffer.tensors(), facts)
    resumed.policy.restore(stopped.policy.tensors(), stopped.policy.facts())
    resumed.fresh, resumed.age = stopped.fresh, stopped.age
    resumed.play(deaths=frozenset({(2, 0)}), steps=range(4, 8))
    for played in (whole, resumed):
        played.finish()
    assert torch.equal(whole.buffer.advantages, resumed.buffer.advantages)
    one, two = whole.buffer.stacked(), resumed.buffer.stacked()
    for name in ("observations", "masks", "indices", "log_probs", "fresh", "forced", "penalized"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    assert torch.equal(one.state[0], two.state[0])
    assert whole.buffer.facts() == resumed.buffer.facts()


def test_rows_of_a_controller_that_does_not_learn_survive_saving() -> None:
    buffer, other = buffer_of([plain(0, 1.0), plain(1, 2.0)]), RolloutBuffer(1, 10, CONFIG)
    other.restore(buffer.tensors(), json.loads(json.dumps(buffer.facts())))
    for each in (buffer, other):
        each.finish({0: 1.0})
    assert other.facts() == buffer.facts()


# What comes after a row: it goes on, the episode is over, a time limit cuts it, a rollback undoes it.
STEP = st.tuples(
    st.floats(-10.0, 10.0), st.floats(-10.0, 10.0), st.floats(-10.0, 10.0), st.sampled_from(["on", "on", "end", "limit", "death"])
)


def as_row(step: int, fresh: bool, reward: float, value: float, bootstrap: float, kind: str) -> Row:
    record = Record(torch.zeros(1), torch.ones(0, dtype=torch.bool), torch.zeros(1, dtype=torch.int64), 0.0, value, forced=False)
    if kind == "death":
        return Row.death(step, 0, record, -10.0, fresh)
    cut = kind == "limit"
    return Row(step, 0, record, reward, terminated=kind == "end", truncated=cut, bootstrap=bootstrap if cut else 0.0, fresh=fresh)


def advantage_of(steps: list[tuple[float, float, float, str]], t: int, after: float, gamma: float, gae_lambda: float) -> float:
    """By the definition, forward: the weighted sum of the n-step advantages' increments up to the end of the segment."""
    total = 0.0
    for k in range(t, len(steps)):
        reward, value, bootstrap, kind = steps[k]
        following = steps[k + 1][1] if k + 1 < len(steps) else after
        expected = {"on": following, "limit": bootstrap}.get(kind, 0.0)
        paid = -10.0 if kind == "death" else reward
        total += (gamma * gae_lambda) ** (k - t) * (paid + gamma * expected - value)
        if kind != "on":
            break
    return total


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(STEP, min_size=1, max_size=9), min_size=1, max_size=4), st.floats(0.5, 1.0), st.floats(0.0, 1.0), st.floats(-5.0, 5.0)
)
def test_advantages_equal_brute_force_whatever_rows_come(
    columns: list[list[tuple[float, float, float, str]]], gamma: float, gae_lambda: float, after: float
) -> None:
    buffer = RolloutBuffer(len(columns), 9, PpoConfig(gamma=gamma, gae_lambda=gae_lambda, normalize_rewards=False))
    buffer.begin(None)
    for env, steps in enumerate(columns):
        for t, step in enumerate(steps):
            buffer.remember(env, as_row(t, t == 0 or steps[t - 1][3] != "on", *step))
    buffer.finish(dict.fromkeys(range(len(columns)), after))
    for env, steps in enumerate(columns):
        wanted = [advantage_of(steps, t, after, gamma, gae_lambda) for t in range(len(steps))]
        torch.testing.assert_close(buffer.advantages[: len(steps), env], torch.tensor(wanted, dtype=torch.float64), rtol=0.0, atol=1e-10)


def test_segments_are_columns_with_the_state_they_began_with(rollout: Callable[..., Any]) -> None:
    played = rollout()
    states = []
    for steps in (range(3), range(3, 6), range(6, 8)):
        if steps.start:
            states.append(played.policy.recurrent_state())
            played.buffer.mark(states[-1])
        played.play(deaths=frozenset({(4, 1)}), steps=steps)
    stacked = played.buffer.stacked()
    assert tuple(stacked.valid.shape) == (3, 9)
    assert stacked.valid.sum(dim=0).tolist() == [3] * 6 + [2] * 3
    assert torch.equal(stacked.state[0][3:6], states[0][0])
    assert torch.equal(stacked.state[1][6:9], states[1][1])
    played.finish()
    advantages = played.buffer.advantages
    assert torch.equal(played.buffer.by_column(advantages)[:, 4], advantages[3:6, 1])


def test_a_forgotten_environment_has_no_segment_before_its_next_life(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play(steps=range(4))
    played.buffer.mark(played.policy.recurrent_state())
    played.buffer.forget(1)
    played.fresh[1] = True
    played.policy.begin_life(1)
    played.play(steps=range(4, 8))
    stacked = played.buffer.stacked()
    assert stacked.valid.sum(dim=0).tolist() == [4, 0, 4, 4, 4, 4]
    assert (
        recomputed_log_probs(played.policy.agent, played.buffer) - torch.where(stacked.valid, stacked.log_probs, 0.0)
    ).abs().max() < 1e-5


def test_segments_are_stored_with_a_rollout(rollout: Callable[..., Any]) -> None:
    played, other = rollout(), rollout(seed=8)
    played.play(steps=range(4))
    played.buffer.mark(played.policy.recurrent_state())
    played.play(steps=range(4, 6))
    other.buffer.restore(played.buffer.tensors(), json.loads(json.dumps(played.buffer.facts())))
    assert torch.equal(other.buffer.stacked().valid, played.buffer.stacked().valid)
    assert torch.equal(other.buffer.stacked().state[0], played.buffer.stacked().state[0])


def test_rewards_may_be_left_as_they_are() -> None:
    buffer = RolloutBuffer(1, 10, PpoConfig(normalize_rewards=False))
    buffer.begin(None)
    for step in range(6):
        buffer.remember(0, plain(step, 5.0 * step))
    buffer.finish({0: 0.0})
    assert buffer.rewards.flatten().tolist() == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]


def decided(step: int, reward: float) -> Row:
    record = Record(torch.zeros(2), torch.ones(3, dtype=torch.bool), torch.zeros(1, dtype=torch.int64), -0.5, 0.0, forced=False)
    return Row(step, 0, record, reward, fresh=step == 0)


def test_what_deaths_made_of_the_scale_fades_in_rollouts_without_one() -> None:
    deaths = [decided(0, 0.0), replace(decided(1, -10.0), terminated=True, penalized=True)]
    buffer = buffer_of(deaths)
    buffer.finish({})
    # The death, and half of it in the row before, around a centre of 0: gamma is a half.
    assert buffer.death_spread == pytest.approx(((10.0**2 + 5.0**2) / 2.0) ** 0.5)
    made = buffer.death_spread
    buffer.clear()
    buffer.begin(None)
    buffer.remember(0, decided(0, 0.1))
    buffer.finish({0: 0.0})
    assert buffer.death_spread == pytest.approx(0.98 * made)
    other = RolloutBuffer(1, 10, CONFIG)
    other.restore(buffer.tensors(), json.loads(json.dumps(buffer.facts())))
    assert other.death_spread == buffer.death_spread
