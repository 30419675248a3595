"""How likely an agent makes what is illegal."""

from collections.abc import Callable

import torch

from tolaria.practice.evaluation import copied
from tolaria.practice.spaces import AnyEnv
from tolaria.practice.training import Practised
from tolaria.practice.worlds import Worlds
from tolaria.seeding import derive_seed

COPIES = 32
STEPS = 64


def illegal_probability(practised: Practised, make_env: Callable[[], AnyEnv], seed: int) -> float:
    """The largest probability of any single illegal action in some thousand states, for agents that decide about one thing."""
    worlds = Worlds(make_env, COPIES, derive_seed(seed, "illegal"))
    worlds.normalizer = practised.normalizer
    agent = copied(practised.agent, worlds, COPIES, seed)
    (size,) = agent.distribution.sizes
    actions = torch.arange(size)[None, :, None].expand(COPIES, size, 1)
    largest = 0.0
    for _ in range(STEPS):
        seen = worlds.seen()
        with torch.no_grad():
            ((logits,), _, _) = agent.net(seen.observations[None], agent.recurrent_state(), torch.zeros(1, COPIES, dtype=torch.bool))
            each = [logits[0][:, None].expand(COPIES, size, size)]
            likely = agent.distribution.log_prob(each, seen.masks[:, None].expand(COPIES, size, size), actions).exp()
        largest = max(largest, float(likely.masked_fill(seen.masks, 0.0).max()))
        for env, indices in enumerate(agent.act(seen).indices.tolist()):
            if worlds.step(env, indices).terminated:
                agent.begin_life(env)
    worlds.close()
    return largest
