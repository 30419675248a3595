"""The growth of a host as an environment that any library of reinforcement learning can make by name."""

from tolaria.env.config import RewardConfig, TrainingConfig
from tolaria.env.growth_env import EnvConfig, GrowthEnv
from tolaria.errors import ConfigError
from tolaria.tasks.choice import chosen


def make_growth(
    task: str = "spirals",
    episode_steps: int = 20,
    batches_per_step: int = 10,
    reward: str = "progress",
    seed: int = 0,
    data: str | None = None,
) -> GrowthEnv:
    """A host that learns the task, to be grown for so many decisions; the first one is seeded by `seed` unless `reset` says otherwise.

    `data` is the folder of a task that is read from one.
    """
    if episode_steps < 1:
        raise ConfigError("episode_steps", episode_steps, "1 or more")
    config = EnvConfig(episode_steps, TrainingConfig(batches_per_step=batches_per_step), reward=RewardConfig(mode=reward))
    return GrowthEnv(chosen(task, data), config, seed)
