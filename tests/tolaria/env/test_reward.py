import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.env.config import RewardConfig
from tolaria.env.reward import Deed, potential, reward_parts, worth
from tolaria.errors import ConfigError
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.vitals import Vitals

FREE = RewardConfig(rent=0.0, action_cost=0.0)
PAID = RewardConfig(mode="contribution", rent=0.002, action_cost=0.002, contribution_weight=2.0, commit_bonus=0.5)
WAITED = Deed(0.0, acted=False)
losses = st.floats(0.0, 1e6)
chances = st.floats(0.1, 20.0)


def vitals(loss: float, accuracy: float = 0.5) -> Vitals:
    return Vitals(0, loss, loss, accuracy, 1.0)


def earned(before: float, loss: float, chance: float, deed: Deed = WAITED, config: RewardConfig = FREE) -> float:
    parts = reward_parts(before, vitals(loss), chance, deed, config)
    assert parts is not None
    return parts.total


def slot(stage: Stage, contribution: float | None) -> SlotState:
    return SlotState("s0", stage, "mlp_norm", contribution=contribution)


@given(losses, chances)
def test_the_potential_lies_between_zero_and_one(loss: float, chance: float) -> None:
    assert 0.0 <= potential(loss, chance) <= 1.0


@given(st.lists(losses, min_size=1, max_size=30), losses, chances)
def test_progress_over_an_episode_is_the_last_potential_minus_the_first(path: list[float], start: float, chance: float) -> None:
    total, before = 0.0, start
    for loss in path:
        total += earned(before, loss, chance)
        before = loss
    assert total == pytest.approx(potential(path[-1], chance) - potential(start, chance), abs=1e-9)


@given(st.lists(losses, max_size=30), losses, chances)
def test_a_loop_that_ends_where_it_began_earns_nothing(path: list[float], start: float, chance: float) -> None:
    total, before = 0.0, start
    for loss in [*path, start]:
        total += earned(before, loss, chance)
        before = loss
    assert total == pytest.approx(0.0, abs=1e-9)


@given(losses, losses, chances)
def test_however_far_a_loss_explodes_a_step_costs_at_most_one(before: float, after: float, chance: float) -> None:
    assert -1.0 <= earned(before, after, chance) <= 1.0


def test_known_rewards() -> None:
    # exp(-1) - exp(-2) = 0.36788 - 0.13534, then 0.5 of rent at 0.1 and one action at 0.02.
    assert potential(0.0, 2.0) == 1.0
    assert potential(2.0, 2.0) == pytest.approx(0.36788, abs=1e-5)
    parts = reward_parts(4.0, vitals(2.0), 2.0, Deed(0.5, acted=True), RewardConfig(rent=0.1, action_cost=0.02))
    assert parts is not None
    assert (parts.progress, parts.rent, parts.cost) == (pytest.approx(0.23254, abs=1e-5), pytest.approx(-0.05), -0.02)
    assert (parts.contribution, parts.bonus) == (0.0, 0.0)
    assert parts.total == pytest.approx(0.23254 - 0.05 - 0.02, abs=1e-5)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", ["progress", "contribution", "sparse"])
def test_no_number_has_no_reward_and_is_never_clipped_into_one(loss: float, mode: str) -> None:
    assert reward_parts(1.0, vitals(loss), 1.0, Deed(0.0, acted=False, is_last=True), RewardConfig(mode=mode)) is None


@pytest.mark.parametrize("before", [math.nan, math.inf])
def test_a_baseline_that_is_no_number_is_a_mistake(before: float) -> None:
    with pytest.raises(AssertionError):
        reward_parts(before, vitals(1.0), 1.0, WAITED, FREE)


def test_the_sparse_reward_comes_at_the_end() -> None:
    config = RewardConfig(mode="sparse", rent=0.1)
    for is_last, expected in ((False, 0.0), (True, 0.55)):
        parts = reward_parts(1.0, vitals(1.0, 0.75), 1.0, Deed(2.0, acted=True, is_last=is_last), config)
        assert parts is not None
        assert parts.total == pytest.approx(expected)


def test_a_seed_is_paid_for_what_it_contributes_and_once_more_for_being_committed() -> None:
    held, kept = (slot(Stage.HOLDING, 0.1),), (slot(Stage.FOSSILIZED, 0.15),)
    parts = reward_parts(1.0, vitals(1.0), 1.0, Deed(0.5, acted=True, slots_before=held, slots=kept), PAID)
    assert parts is not None
    assert (parts.progress, parts.contribution, parts.bonus) == (0.0, pytest.approx(2.0 * 0.05), 0.5)
    assert (parts.rent, parts.cost) == (pytest.approx(-0.001), -0.002)


def test_slots_are_worth_what_was_measured_of_the_seeds_in_them() -> None:
    slots = [slot(Stage.BLENDING, 0.1), slot(Stage.FOSSILIZED, -0.02), slot(Stage.TRAINING, None), slot(Stage.DORMANT, None)]
    assert worth(slots) == pytest.approx(0.08)
    assert worth(slots, only_committed=True) == pytest.approx(-0.02)


measured = st.none() | st.floats(-1.0, 1.0)


@given(st.lists(st.tuples(st.sampled_from([Stage.BLENDING, Stage.HOLDING, Stage.PRUNED]), measured), max_size=20), st.floats(-1.0, 1.0))
def test_over_an_episode_only_what_committed_seeds_are_worth_at_its_end_is_paid(
    path: list[tuple[Stage, float | None]], kept: float
) -> None:
    config = RewardConfig(mode="contribution", rent=0.0, action_cost=0.0, commit_bonus=0.0)
    states = [SlotState("s0"), *(slot(stage, None if stage is Stage.PRUNED else found) for stage, found in path)]
    committed = slot(Stage.FOSSILIZED, kept)
    for end, expected in ((slot(Stage.HOLDING, kept), 0.0), (committed, kept)):
        total = 0.0
        way = [*states, end]
        for number, (before, after) in enumerate(pairwise(way)):
            deed = Deed(0.0, acted=False, is_last=number == len(way) - 2, slots_before=(before,), slots=(after,))
            total += earned(1.0, 1.0, 1.0, deed, config)
        assert total == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=10))
def test_to_germinate_and_prune_and_germinate_earns_nothing(found: list[float]) -> None:
    """Whatever each seed seemed to contribute before it was pruned: what is left of the loop are its costs."""
    empty, gone = SlotState("s0"), slot(Stage.PRUNED, None)
    total = 0.0
    for contribution in found:
        grown, held = slot(Stage.GERMINATED, None), slot(Stage.HOLDING, contribution)
        loop = ((empty, grown, True, 0.4), (grown, held, True, 0.4), (held, gone, True, 0.0), (gone, empty, False, 0.0))
        for before, after, acted, share in loop:
            total += earned(1.0, 1.0, 1.0, Deed(share, acted, slots_before=(before,), slots=(after,)), PAID)
    assert total < 0.0


@pytest.mark.parametrize("name", ["rent", "action_cost", "contribution_weight", "commit_bonus"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_a_price_is_a_finite_number(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"reward.{name}"):
        RewardConfig(**{name: value})  # type: ignore[arg-type] - one of four numbers
