"""Several hosts in training, one decision step at a time, each in a world of its own.

Every environment has its own host, optimizers, data stream and random streams, all named by the run's seed and the
environment's number; removing or striking one leaves the others untouched, to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from tolaria.env.growth_env import EnvConfig, GrowthEnv, Outcome
from tolaria.lifecycle.action import Action
from tolaria.policy.view import View
from tolaria.seams import NO_TAPS, Taps
from tolaria.tasks.task import Task
from tolaria.telemetry.event import Event, Point


@dataclass(frozen=True, slots=True)
class Broken:
    """What came of a step that raised: the error in words. Its environment is in no state to go on."""

    reason: str


class VectorEnv:
    """N environments of one task; a retired one is stepped no more."""

    def __init__(
        self,
        task: Task,
        config: EnvConfig,
        num_envs: int,
        seed: int,
        device: torch.device,
        taps: Taps = NO_TAPS,
        emit: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self.envs = [GrowthEnv(task, config, seed, env, device, taps, emit) for env in range(num_envs)]
        self.retired: set[int] = set()

    @property
    def active(self) -> list[GrowthEnv]:
        """The environments that go on, in order of their numbers."""
        return [env for env in self.envs if env.env not in self.retired]

    def views(self) -> list[View]:
        """What a controller may know of each active environment."""
        return [env.view() for env in self.active]

    def advance(self, views: Sequence[View], actions: Sequence[Action], step: int) -> Mapping[int, Outcome | Broken]:
        """One decision step of every environment that was viewed; outcomes by the environment's number."""
        decided = zip(views, actions, strict=True)
        return {view.env: self._advance(view.env, action, Point(step, view.env)) for view, action in decided}

    def _advance(self, env: int, action: Action, at: Point) -> Outcome | Broken:
        try:
            return self.envs[env].advance(action, at)
        except AssertionError:
            # Our own mistake, and no trouble of this one environment.
            raise
        except Exception as error:  # noqa: BLE001 - whatever happens in one environment must not end the others
            return Broken(f"{type(error).__name__}: {error}")
