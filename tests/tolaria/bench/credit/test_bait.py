from collections.abc import Sequence

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tolaria.bench.credit.bait import BAIT, SAFE, BaitConfig, BaitWorld

WAIT = 5


def played(world: BaitWorld, actions: Sequence[int]) -> list[tuple[float, bool, bool]]:
    """Reward, terminated and truncated of every step; what ends is begun anew."""
    found = []
    for action in actions:
        _, reward, terminated, truncated, _ = world.step(np.int64(action))
        found.append((reward, terminated, truncated))
        if terminated or truncated:
            world.reset()
    return found


def begun(**settings: object) -> BaitWorld:
    world = BaitWorld(BaitConfig(**settings))  # type: ignore[arg-type]  # a test names fields as it needs them
    world.reset(seed=0)
    return world


@pytest.mark.parametrize("settings", [{}, {"hidden": False, "safe_reward": 0.3, "accident": 0.05}])
def test_it_is_an_environment_as_gymnasium_has_them(settings: dict[str, object]) -> None:
    check_env(begun(**settings), skip_render_check=True)


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_a_bait_pays_at_once_and_collapses_its_host_after_the_delay(delay: int) -> None:
    world = begun(delay=delay)
    steps = played(world, [BAIT, *[WAIT] * (delay - 1)])
    assert [reward for reward, _, _ in steps] == [0.5, *[0.0] * (delay - 1)]
    assert [terminated for _, terminated, _ in steps] == [*[False] * (delay - 1), True]
    assert (world.collapses, world.germinations, world.baits) == (1, 1, 1)


def test_the_collapse_tells_how_long_ago_its_cause_was() -> None:
    world = begun(delay=3)
    infos = [world.step(np.int64(action))[4] for action in (WAIT, BAIT, WAIT, WAIT)]
    assert infos == [{}, {}, {}, {"rollback": {"causes": [[2, 1.0]]}}]


def test_whoever_takes_every_bait_collapses_eight_times_an_episode() -> None:
    world = begun()
    steps = played(world, [BAIT] * 40)
    assert world.collapses == 8
    assert [index for index, (_, _, truncated) in enumerate(steps) if truncated] == [39]


def test_a_taken_slot_refuses_and_pays_nothing() -> None:
    world = begun(safe_reward=0.3)
    assert [reward for reward, _, _ in played(world, [SAFE, SAFE, BAIT, WAIT, WAIT, SAFE])] == [0.3, 0.0, 0.0, 0.0, 0.0, 0.3]
    assert (world.germinations, world.collapses) == (2, 0)


def test_without_a_safe_seed_its_action_waits() -> None:
    world = begun()
    assert played(world, [SAFE] * 6) == [(0.0, False, False)] * 6


def test_the_episode_goes_on_after_a_collapse_and_a_new_one_begins_after_its_end() -> None:
    world = begun(delay=2, episode_steps=6)
    ends = [(terminated, truncated) for _, terminated, truncated in played(world, [BAIT, WAIT, WAIT, WAIT, WAIT, WAIT, BAIT])]
    assert ends == [(False, False), (True, False), *[(False, False)] * 3, (False, True), (False, False)]


def test_a_collapse_in_the_last_step_says_both() -> None:
    assert played(begun(delay=2, episode_steps=4), [WAIT, WAIT, BAIT, WAIT])[-1] == (0.0, True, True)


def test_a_hidden_seed_is_not_shown_and_another_is() -> None:
    hidden, shown = begun(), begun(hidden=False)
    for world in (hidden, shown):
        world.step(np.int64(BAIT))
    assert hidden.step(np.int64(WAIT))[0].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert shown.step(np.int64(WAIT))[0].tolist() == [1.0, 1.0, 0.0, pytest.approx(0.4)]


def test_some_safe_seeds_collapse_their_host_all_the_same() -> None:
    world = begun(delay=1, safe_reward=0.3, accident=0.25)
    played(world, [SAFE] * 2000)
    assert 0.2 < world.collapses / 2000 < 0.3
