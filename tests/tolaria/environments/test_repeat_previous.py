import numpy as np
import pytest

from tolaria.environments.repeat_previous import RepeatPrevious
from tolaria.errors import ConfigError


def test_who_remembers_the_card_three_before_the_newest_gets_everything() -> None:
    env = RepeatPrevious(k=4)
    seen = [env.reset(seed=1)[0]]
    total, steps, truncated = 0.0, 0, False
    while not truncated:
        card, reward, _, truncated, _ = env.step(seen[-4] if len(seen) >= 4 else 0)
        seen.append(card)
        total, steps = total + reward, steps + 1
    assert steps == 51
    assert total == pytest.approx(1.0)
    assert np.bincount(seen).tolist() == [13, 13, 13, 13]


def test_nothing_is_asked_before_there_are_enough_cards() -> None:
    env = RepeatPrevious(k=4)
    env.reset(seed=0)
    assert [env.step(0)[1] == 0.0 for _ in range(4)] == [True, True, True, False]


def test_chance_is_worth_minus_one_half() -> None:
    env, rng = RepeatPrevious(), np.random.default_rng(0)
    totals = []
    for episode in range(100):
        env.reset(seed=episode)
        totals.append(sum(env.step(int(rng.integers(4)))[1] for _ in range(51)))
    assert np.mean(totals) == pytest.approx(-0.5, abs=0.05)


def test_more_cards_than_there_are_are_refused() -> None:
    with pytest.raises(ConfigError, match="k: found 52"):
        RepeatPrevious(k=52)
