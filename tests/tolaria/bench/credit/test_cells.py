from dataclasses import replace

import pytest

from tolaria.bench.credit import cells
from tolaria.bench.credit.arms import ABOUT, ARMS, SHIPPED
from tolaria.bench.credit.bait import BaitConfig
from tolaria.bench.credit.cells import Cell, run_cell, settled
from tolaria.ppo.config import PpoConfig

CELL = Cell("delay-5", SHIPPED, "none", 0, BaitConfig())


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "UPDATES", 3)


def test_the_shipped_arm_is_what_a_run_does_by_default() -> None:
    ppo, usual = CELL.config().ppo, PpoConfig()
    assert (ppo.penalty_attribution, ppo.rollback_transition, ppo.penalty) == (
        usual.penalty_attribution,
        usual.rollback_transition,
        usual.penalty,
    )
    assert (ppo.gamma, ppo.gae_lambda, CELL.config().penalty, CELL.config().rollback) == (0.99, 0.95, -10.0, "penalize")


def test_every_arm_is_another_and_is_told() -> None:
    configs = [replace(CELL, arm=arm).config() for arm in ARMS]
    assert len(set(map(repr, configs))) == len(ARMS)
    assert ABOUT.keys() == ARMS.keys()


def test_what_is_settled_is_an_environment_in_the_last_tenth() -> None:
    assert settled((99,) * 18 + (16, 32)) == 1.5
    assert settled((8,)) == 0.5


@pytest.mark.parametrize("arm", ["shipped", "clear", "truncate", "continue"])
def test_a_run_counts_what_happened_and_is_the_same_twice(arm: str, brief: None) -> None:
    first, second = (run_cell(replace(CELL, arm=arm)) for _ in range(2))
    assert replace(first, cpu_s=0.0) == replace(second, cpu_s=0.0)
    assert (len(first.collapses), len(first.germinations)) == (3, 3)
    assert 0 < sum(first.collapses) <= sum(first.germinations)
    assert first.frozen_at is None


def test_an_update_learns_from_many_episodes_at_once_where_it_is_told_to() -> None:
    many = replace(CELL, episodes=5)
    assert (many.config().rollout_steps, many.updates, many.config().ppo) == (200, 120, CELL.config().ppo)


def test_larger_steps_are_fewer() -> None:
    large = replace(CELL, episodes=5, large=True)
    assert (large.config().rollout_steps, large.updates, large.config().ppo.epochs) == (200, 100, 8)
