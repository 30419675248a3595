import pytest

from tolaria.environments.t_maze import Direction, TMaze
from tolaria.errors import ConfigError


def signs(env: TMaze) -> dict[int, Direction]:
    """A seed for each of the two goals."""
    return {seed: Direction.NORTH if env.reset(seed=seed)[0][0] else Direction.SOUTH for seed in range(20)}


@pytest.mark.parametrize(("obeys", "total"), [(True, 1.0), (False, -1.0)])
def test_the_sign_says_where_to_turn(obeys: bool, total: float) -> None:
    env = TMaze(corridor=10)
    found = signs(env)
    assert set(found.values()) == {Direction.NORTH, Direction.SOUTH}
    for seed, goal in found.items():
        env.reset(seed=seed)
        for _ in range(10):
            seen, reward, terminated, truncated, _ = env.step(Direction.EAST)
            # The sign is seen before the first step only.
            assert seen[:2].tolist() == [0.0, 0.0]
            assert (reward, terminated, truncated) == (0.0, False, False)
        assert seen.tolist() == [0.0, 0.0, 0.0, 1.0]
        other = Direction.SOUTH if goal is Direction.NORTH else Direction.NORTH
        _, reward, terminated, _, _ = env.step(goal if obeys else other)
        assert (reward, terminated) == (total, True)


def test_walls_cost_and_the_sign_is_not_seen_twice() -> None:
    env = TMaze(corridor=2)
    env.reset(seed=0)
    seen, reward, *_ = env.step(Direction.WEST)
    assert (seen.tolist(), reward) == ([0.0, 0.0, 1.0, 0.0], -0.1)
    assert env.step(Direction.NORTH)[1] == -0.1
    assert env.step(Direction.EAST)[1] == 0.0
    assert env.step(Direction.EAST)[0].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert env.step(Direction.EAST)[1] == -0.1


def test_who_does_not_turn_is_cut_off() -> None:
    env = TMaze(corridor=1)
    env.reset(seed=0)
    assert [env.step(Direction.EAST)[3] for _ in range(10)] == [False] * 9 + [True]


def test_a_maze_without_a_corridor_is_refused() -> None:
    with pytest.raises(ConfigError, match="corridor"):
        TMaze(corridor=0)
