import math

import pytest

from tolaria.errors import ConfigError
from tolaria.ppo.config import PpoConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gamma", 1.1),
        ("gae_lambda", -0.1),
        ("clip", 0.0),
        ("lr", math.nan),
        ("target_kl", math.inf),
        ("entropy_coef", -1.0),
        ("epochs", 0),
        ("minibatches", 0),
        ("max_skipped_updates", 0),
        ("hidden_size", 0),
        ("lr_decay_updates", 0),
        ("clip_decay_updates", 0),
        ("op_floor", -0.001),
        ("op_floor", 0.17),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"ppo\.{field}"):
        PpoConfig(**{field: value})  # type: ignore[arg-type]  # wrong on purpose


def test_credit_reaches_far_enough_by_default() -> None:
    assert PpoConfig().gae_lambda >= 0.95


def test_rate_and_clip_stay_or_fall_on_a_straight_line_and_no_further() -> None:
    assert [PpoConfig(lr=0.5).lr_at(update) for update in (0, 9, 1000)] == [0.5, 0.5, 0.5]
    falling = PpoConfig(lr=0.5, clip=0.2, lr_decay_updates=4, clip_decay_updates=2)
    assert [falling.lr_at(update) for update in (0, 1, 4, 5)] == [0.5, 0.375, 0.0, 0.0]
    assert [falling.clip_at(update) for update in (0, 1, 2)] == [0.2, 0.1, 0.0]


def test_there_may_be_no_limit_of_divergence() -> None:
    assert PpoConfig(target_kl=None).target_kl is None
