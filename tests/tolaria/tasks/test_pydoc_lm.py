from collections.abc import Callable
from typing import Any

from tolaria.env.config import TrainingConfig
from tolaria.env.growth_env import EnvConfig, GrowthEnv
from tolaria.lifecycle.action import WAIT
from tolaria.tasks.pydoc_lm import pydoc_lm
from tolaria.telemetry.event import Point

Make = Callable[..., Any]


def test_a_host_learns_more_than_the_frequencies_of_letters_within_ten_steps() -> None:
    task = pydoc_lm()
    env = GrowthEnv(task, EnvConfig(10, TrainingConfig(batches_per_step=10)))
    losses = [env.advance(WAIT, Point(step, 0)).vitals.val_loss for step in range(10)]
    assert losses[-1] < task.prior_loss - 0.15
    assert losses[-1] < losses[0]
