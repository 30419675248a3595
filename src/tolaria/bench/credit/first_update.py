"""What a single update does to the decisions that led to collapses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from tolaria.bench.credit.arms import SHIPPED
from tolaria.bench.credit.bait import BAIT, BaitConfig, BaitWorld
from tolaria.bench.credit.cells import Cell
from tolaria.policy.agent import Agent, Seen
from tolaria.practice.training import Practice
from tolaria.practice.worlds import Worlds
from tolaria.seeding import derive_seed

ARMS_ASKED = (SHIPPED, "last", "cause", "clear", "truncate")
SEEDS = 20


@dataclass(frozen=True, slots=True)
class Fall:
    """In how many of the seeds the bait became less likely."""

    arm: str
    seeds: int
    fell: int


def falls(seeds: int, arms: Sequence[str] = ARMS_ASKED) -> Iterator[Fall]:
    """One answer for each arm."""
    for arm in arms:
        yield Fall(arm, seeds, sum(change_of(arm, seed) < 0.0 for seed in range(seeds)))


def change_of(arm: str, seed: int) -> float:
    """By how much one update moves the log-probability of the bait, which in a world that shows nothing is one number."""
    cell = Cell("first update", arm, "none", seed, BaitConfig())
    config = cell.config()
    worlds = Worlds(lambda: BaitWorld(cell.world), config.envs, derive_seed(seed, "practice"))
    practice = Practice(worlds, config, seed)
    before = _bait(practice.practised.agent, worlds)
    practice.rollout()
    practice.learn()
    return _bait(practice.practised.agent, worlds) - before


def _bait(agent: Agent, worlds: Worlds) -> float:
    seen: Seen = worlds.seen()
    with torch.no_grad():
        logits, _, _ = agent.net(seen.observations[None], agent.recurrent_state(), torch.zeros(1, agent.num_envs, dtype=torch.bool))
        taken = torch.full((1, agent.num_envs, 1), BAIT)
        return float(agent.distribution.log_prob(logits, seen.masks[None], taken)[0, 0])
