"""Copies of an environment, stepped one after the other, as the arrays that an agent sees.

An episode that ends is begun anew at once, but what was seen last is kept apart: it is the state after the step, and a time
limit is valued by it. The first observation of the next episode says nothing about that one.

N copies, D features, M choices in a mask.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tolaria.errors import ConfigError
from tolaria.policy.agent import Seen
from tolaria.policy.distribution import IndependentHeads
from tolaria.practice.normalizer import ObservationNormalizer
from tolaria.practice.spaces import AnyEnv, actions_of, actor_of, mask_of, observation_size_of, observer_of
from tolaria.seeding import derive_seed

# What `Env.reset` takes.
RESET_SEED_MAX = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Happened:
    """What came of one step; `last` is the observation [D] after it, `rollback` what the environment tells of one that undid it."""

    reward: float
    terminated: bool
    truncated: bool
    last: NDArray[np.float32]
    rollback: Mapping[str, Any] | None


class Worlds:
    """N copies, begun. `seen()` is what an agent knows of them now."""

    def __init__(self, make_env: Callable[[], AnyEnv], num_envs: int, seed: int, normalizes: bool = False) -> None:
        self.envs = [make_env() for _ in range(num_envs)]
        first = self.envs[0]
        self.observation_size = observation_size_of(first.observation_space)
        self.normalizer = ObservationNormalizer(self.observation_size) if normalizes else None
        self._observe, self._act = observer_of(first.observation_space), actor_of(first.action_space)
        self._observations = np.zeros((num_envs, self.observation_size), dtype=np.float32)
        infos = [self._reset(env, derive_seed(seed, "world", env) % RESET_SEED_MAX) for env in range(num_envs)]
        masks = [mask_of(env, info) for env, info in zip(self.envs, infos, strict=True)]
        self.distribution: IndependentHeads = actions_of(first.action_space, masks[0] is not None)
        self._masks = np.ones((num_envs, self.distribution.mask_size), dtype=np.bool_)
        for env, mask in enumerate(masks):
            self._put_mask(env, mask)
        self._everyone = torch.ones(num_envs, dtype=torch.bool)

    def seen(self) -> Seen:
        """All copies as they are now; the arrays are nobody else's."""
        return Seen(self.normalized(self._observations), torch.from_numpy(self._masks.copy()), self._everyone)

    def normalized(self, observations: NDArray[np.float32]) -> Tensor:
        """Observations [N, D] as the agent sees them."""
        return torch.from_numpy(observations.copy() if self.normalizer is None else self.normalizer.apply(observations))

    @property
    def observations(self) -> NDArray[np.float32]:
        """What the copies show now [N, D], as they are."""
        return self._observations.copy()

    def step(self, env: int, indices: list[int]) -> Happened:
        """One step of one copy; where it ends the episode, the next has begun when this returns."""
        world = self.envs[env]
        observation, reward, terminated, truncated, info = world.step(self._act(indices))
        last = self._observe(observation)
        rollback = _rollback_of(info) if terminated else None
        if terminated or truncated:
            info = self._reset(env, None)
        else:
            self._observations[env] = last
        self._put_mask(env, mask_of(world, info))
        # An episode that is over is not also cut off. One that was rolled back is over only as far as the learner takes it so.
        return Happened(float(reward), bool(terminated), bool(truncated) and (not terminated or rollback is not None), last, rollback)

    def close(self) -> None:
        """Let go of all copies."""
        for env in self.envs:
            env.close()

    def _reset(self, env: int, seed: int | None) -> dict[str, Any]:
        observation, info = self.envs[env].reset(seed=seed)
        self._observations[env] = self._observe(observation)
        return info

    def _put_mask(self, env: int, mask: NDArray[np.bool_] | None) -> None:
        if (0 if mask is None else mask.size) != self.distribution.mask_size:
            size, expected = None if mask is None else mask.size, self.distribution.mask_size
            told = f"one of {expected}, in every step" if expected else "none, as at the first reset"
            raise ConfigError("env", f"a mask of {size} choices", told)
        if mask is not None:
            self._masks[env] = mask


def _rollback_of(info: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is told of a rollback; True tells of one and nothing about it, and False is none."""
    told = info.get("rollback")
    if told is None or isinstance(told, Mapping):
        return told
    if not isinstance(told, bool | np.bool_):
        raise ConfigError("info.rollback", told, 'true, false, or a mapping such as {"causes": [[3, 1.0]]}')
    return {} if told else None
