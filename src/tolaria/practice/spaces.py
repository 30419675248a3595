"""Between the spaces of gymnasium and the arrays of an agent."""

from collections.abc import Callable
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tolaria.errors import ConfigError
from tolaria.policy.distribution import IndependentHeads

# An environment may see and take anything that its spaces hold.
AnyEnv: TypeAlias = gymnasium.Env[Any, Any]


def observation_size_of(space: spaces.Space[Any]) -> int:
    """D, how many numbers an observation is; raises `ConfigError` for what has no fixed number."""
    if not space.is_np_flattenable:
        raise ConfigError("env", f"observations in {space}", "observations that are a fixed number of numbers")
    return spaces.flatdim(space)


def observer_of(space: spaces.Space[Any]) -> Callable[[object], NDArray[np.float32]]:
    """What turns an observation into [D]; choices become ones among zeros."""
    if isinstance(space, spaces.Box):
        return lambda observation: np.asarray(observation, dtype=np.float32).ravel()
    return lambda observation: np.asarray(spaces.flatten(space, observation), dtype=np.float32)


def actions_of(space: spaces.Space[Any], masked: bool) -> IndependentHeads:
    """What an agent decides about; raises `ConfigError` for actions that are not discrete."""
    if isinstance(space, spaces.Discrete):
        return IndependentHeads((int(space.n),), masked)
    if isinstance(space, spaces.MultiDiscrete):
        return IndependentHeads([int(size) for size in space.nvec.ravel()], masked)
    raise _not_discrete(space)


def actor_of(space: spaces.Space[Any]) -> Callable[[list[int]], object]:
    """What turns the indices of the heads into an action."""
    if isinstance(space, spaces.Discrete):
        first = int(space.start)
        return lambda indices: first + indices[0]
    if not isinstance(space, spaces.MultiDiscrete):
        raise _not_discrete(space)
    starts = space.start
    return lambda indices: np.asarray(indices, dtype=starts.dtype).reshape(starts.shape) + starts


def mask_of(env: AnyEnv, info: dict[str, Any]) -> NDArray[np.bool_] | None:
    """What is legal now, all heads, from the outermost method `action_masks` (as sb3-contrib has it) or `info["action_mask"]`."""
    masks = env.get_wrapper_attr("action_masks") if env.has_wrapper_attr("action_masks") else None
    mask = masks() if callable(masks) else info.get("action_mask")
    # The action mask of a MultiDiscrete space is a tuple in gymnasium's own convention.
    parts = mask if isinstance(mask, tuple) else (mask,)
    return None if mask is None else np.concatenate([np.ravel(part) for part in parts]).astype(np.bool_)


def _not_discrete(space: spaces.Space[Any]) -> ConfigError:
    return ConfigError("env", f"actions in {space}", "discrete actions (Discrete or MultiDiscrete), for this PPO decides between choices")
