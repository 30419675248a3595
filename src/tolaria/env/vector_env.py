"""Several hosts in training, one decision step at a time, each in a world of its own.

Every environment has its own host, optimizers, data stream and random streams, all named by the run's seed and the
environment's number; removing or striking one leaves the others untouched, to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence

import torch

from tolaria.env.graph_pool import GraphPool
from tolaria.env.growth_env import Broken, EnvConfig, GrowthEnv, Outcome
from tolaria.env.pool import Decided, HostPool, LoopPool
from tolaria.env.stacked_pool import StackedPool
from tolaria.lifecycle.action import Action
from tolaria.policy.view import View
from tolaria.seams import NO_TAPS, Taps
from tolaria.tasks.task import Task
from tolaria.telemetry.event import Event, Point

POOLS: dict[str, type[HostPool]] = {"loop": LoopPool, "stacked": StackedPool, "graphs": GraphPool}


class VectorEnv:
    """N environments of one task; a retired one is stepped no more. How they are stepped is the pool's business."""

    def __init__(
        self,
        task: Task,
        config: EnvConfig,
        num_envs: int,
        seed: int,
        device: torch.device,
        taps: Taps = NO_TAPS,
        emit: Callable[[Event], None] = lambda _: None,
        pool: HostPool | None = None,
    ) -> None:
        self.envs = [GrowthEnv(task, config, seed, env, device, taps, emit) for env in range(num_envs)]
        self.retired: set[int] = set()
        self._pool = pool or LoopPool()

    @property
    def active(self) -> list[GrowthEnv]:
        """The environments that go on, in order of their numbers."""
        return [env for env in self.envs if env.env not in self.retired]

    def close(self) -> None:
        """Let go of what the pool holds; nothing is stepped any more."""
        self._pool.close()

    def views(self) -> list[View]:
        """What a controller may know of each active environment."""
        return [env.view() for env in self.active]

    def advance(self, views: Sequence[View], actions: Sequence[Action], step: int) -> Mapping[int, Outcome | Broken]:
        """One decision step of every environment that was viewed; outcomes by the environment's number."""
        decided = zip(views, actions, strict=True)
        outcomes = self._pool.advance([Decided(self.envs[view.env], action, Point(step, view.env)) for view, action in decided])
        return {view.env: outcome for view, outcome in zip(views, outcomes, strict=True)}
