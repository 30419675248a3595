import math

import pytest

from tolaria.errors import ConfigError
from tolaria.practice.config import PracticeConfig


@pytest.mark.parametrize("wrong", [{"envs": 0}, {"rollout_steps": 0}, {"segment_steps": 0}, {"penalty": math.nan}])
def test_practice_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    (field,) = wrong
    with pytest.raises(ConfigError, match=rf"practice\.{field}"):
        PracticeConfig(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_an_update_learns_from_the_rows_of_all_copies() -> None:
    assert PracticeConfig(envs=3, rollout_steps=7).rows == 21
