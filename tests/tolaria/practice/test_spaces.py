import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from tolaria.errors import ConfigError
from tolaria.practice.spaces import actions_of, actor_of, mask_of, observation_size_of, observer_of


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1.0, 1.0, (2, 3), np.float64),
        spaces.Discrete(5, start=2),
        spaces.MultiDiscrete([2, 3]),
        spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(0, 255, (2, 2), np.uint8)}),
    ],
)
def test_observations_are_a_fixed_number_of_numbers(space: spaces.Space) -> None:
    space.seed(0)
    observed = observer_of(space)(space.sample())
    assert observed.shape == (observation_size_of(space),)
    assert observed.dtype == np.float32


def test_observations_without_a_fixed_size_are_refused() -> None:
    with pytest.raises(ConfigError, match="fixed number"):
        observation_size_of(spaces.Sequence(spaces.Discrete(3)))


@pytest.mark.parametrize(
    ("space", "sizes"),
    [
        (spaces.Discrete(3, start=-1), (3,)),
        (spaces.MultiDiscrete([2, 5]), (2, 5)),
        (spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]), start=np.array([[1, 1], [1, 1]])), (2, 3, 4, 5)),
    ],
)
def test_every_action_of_a_space_is_reached_by_its_indices(space: spaces.Space, sizes: tuple[int, ...]) -> None:
    heads, act = actions_of(space, masked=True), actor_of(space)
    assert heads.sizes == sizes
    assert heads.mask_size == sum(sizes)
    assert space.contains(act([0] * len(sizes)))
    assert space.contains(act([size - 1 for size in sizes]))
    assert not space.contains(act(list(sizes)))


@pytest.mark.parametrize("decide", [lambda space: actions_of(space, masked=False), actor_of])
def test_continuous_actions_are_refused_in_a_sentence(decide: object) -> None:
    with pytest.raises(ConfigError, match="discrete actions"):
        decide(spaces.Box(-1.0, 1.0, (2,)))  # type: ignore[operator]  # both of them are functions


class Forbidding(gymnasium.Wrapper):
    """Knows what is legal, as `ActionMasker` of sb3-contrib does."""

    def __init__(self, env: gymnasium.Env, legal: list[bool]) -> None:
        super().__init__(env)
        self.legal = legal

    def action_masks(self) -> list[bool]:
        return self.legal


def test_the_mask_of_a_wrapper_is_heard_and_the_outermost_is_the_last_word() -> None:
    inner = Forbidding(gymnasium.make("CartPole-v1"), [False, True])
    for env, legal in ((inner, [False, True]), (Forbidding(gymnasium.wrappers.TimeLimit(inner, 3), [True, False]), [True, False])):
        mask = mask_of(env, {"action_mask": np.array([1, 1])})
        assert mask is not None
        assert mask.tolist() == legal


def test_a_mask_of_several_heads_may_be_a_tuple() -> None:
    mask = mask_of(gymnasium.Env(), {"action_mask": (np.array([1, 0], dtype=np.int8), np.array([1, 1, 0], dtype=np.int8))})
    assert mask is not None
    assert mask.tolist() == [True, False, True, True, False]
