"""How well an agent does when nothing is learnt any more."""

from collections.abc import Callable

import torch

from tolaria.policy.agent import Agent, Seen
from tolaria.practice.spaces import AnyEnv
from tolaria.practice.training import Practised
from tolaria.practice.worlds import Worlds
from tolaria.seeding import derive_seed


def evaluate(
    practised: Practised,
    make_env: Callable[[], AnyEnv],
    episodes: int,
    seed: int,
    sampled: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[float]:
    """The returns of so many new episodes, the likeliest action in every step unless it is `sampled`; the agent is not touched.

    Each episode has a copy of the environment of its own, so that short episodes are not preferred. For the same reason there are no
    returns where somebody asks to stop, which takes effect between two steps: those that are over by then are the short ones.
    """
    worlds = Worlds(make_env, episodes, derive_seed(seed, "evaluation"))
    worlds.normalizer = practised.normalizer
    agent = copied(practised.agent, worlds, episodes, seed)
    going = torch.ones(episodes, dtype=torch.bool)
    returns = [0.0] * episodes
    try:
        while bool(going.any()):
            if should_stop():
                return []
            now = worlds.seen()
            seen = Seen(now.observations, now.masks, going.clone())
            indices = (agent.act(seen).indices if sampled else agent.act_best(seen)).tolist()
            for env in going.nonzero().flatten().tolist():
                happened = worlds.step(env, indices[env])
                returns[env] += happened.reward
                going[env] = not (happened.terminated or happened.truncated)
    finally:
        worlds.close()
    return returns


def copied(agent: Agent, worlds: Worlds, num_envs: int, seed: int) -> Agent:
    """The same network with the memories of other environments."""
    copied = Agent(worlds.observation_size, agent.distribution, num_envs, agent.net.config, derive_seed(seed, "evaluated"))
    copied.net.load_state_dict(agent.net.state_dict())
    return copied
