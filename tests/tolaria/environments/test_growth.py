import gymnasium
import numpy as np
import pytest

from tolaria.environments import registered
from tolaria.environments.growth import make_growth
from tolaria.errors import ConfigError


def test_growth_is_made_by_its_name_and_ends_at_its_time_limit() -> None:
    assert "tolaria/Growth-v0" in registered.NAMES
    env = gymnasium.make("tolaria/Growth-v0", task="spirals", episode_steps=2, batches_per_step=1)
    env.reset(seed=0)
    ends = [env.step(np.zeros(8, dtype=np.int64))[2:4] for _ in range(2)]
    assert ends == [(False, False), (False, True)]


def test_the_mask_of_each_head_says_what_is_legal_in_it() -> None:
    env = make_growth(batches_per_step=1)
    env.reset(seed=0)
    mask = env.action_masks()
    assert mask.size == int(env.action_space.nvec.sum())
    # Nothing grows yet, so that there is something to germinate and nothing else to do.
    assert mask[:6].tolist() == [True, True, False, False, False, False]
    assert mask[6:].all()


@pytest.mark.parametrize(
    ("folder", "told"), [(None, "the folder that cifar10 is read from"), ("nowhere", "nowhere"), ("spirals", "spirals brings its data")]
)
def test_the_data_of_some_tasks_is_read_from_a_folder(folder: str | None, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make_growth("spirals" if folder == "spirals" else "cifar10", data=folder)


@pytest.mark.parametrize("wrong", [{"task": "chess"}, {"episode_steps": 0}, {"batches_per_step": 0}, {"reward": "praise"}])
def test_what_cannot_be_had_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        make_growth(**wrong)
