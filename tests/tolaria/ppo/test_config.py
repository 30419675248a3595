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
        ("op_floor", -0.001),
        ("op_floor", 0.17),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"ppo\.{field}"):
        PpoConfig(**{field: value})  # type: ignore[arg-type]  # wrong on purpose


def test_credit_reaches_far_enough_by_default() -> None:
    assert PpoConfig().gae_lambda >= 0.95
