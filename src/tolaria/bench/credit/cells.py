"""One run of the credit experiment, and what is kept of it."""

import time
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from tolaria.bench.credit.arms import ARMS
from tolaria.bench.credit.bait import BaitConfig, BaitWorld
from tolaria.policy.config import NetworkConfig
from tolaria.ppo.config import PpoConfig
from tolaria.practice.config import PracticeConfig
from tolaria.practice.training import Progress, train_env
from tolaria.train.frozen import Frozen, GrowthMonitor

ENVS = 16
UPDATES = 120
# The last tenth of a run is what it came to.
SETTLED = 0.1
# With more entropy, what is rarely punished is tried for ever.
PPO = PpoConfig(lr=1e-3, minibatches=4, entropy_coef=0.003)
# What is rare is learnt from many episodes at once. Of 16 in an update less than five collapse by accident; and where half of all
# baits go unpunished, an update that sees one bait learns only whether that one was, and takes the rest of it back the next time.
MANY_EPISODES = 5
# Of accidents it is learnt in fewer and larger steps.
LARGE_PPO = replace(PPO, lr=2e-3, epochs=8)
LARGE_UPDATES = 100


@dataclass(frozen=True, slots=True)
class Cell:
    """A run: to which question it belongs, its arm, its network ("none" or "lstm" for a memory), its seed and its world.

    `episodes` of every environment make one update; `large` are its steps where they are larger and fewer.
    """

    question: str
    arm: str
    memory: str
    seed: int
    world: BaitConfig
    gae_lambda: float = PPO.gae_lambda
    episodes: int = 1
    large: bool = False

    @property
    def updates(self) -> int:
        """How often it learns."""
        return LARGE_UPDATES if self.large else UPDATES

    def config(self) -> PracticeConfig:
        """What is practised."""
        network = NetworkConfig(memory=self.memory)
        ppo = replace(LARGE_PPO if self.large else PPO, gae_lambda=self.gae_lambda)
        return ARMS[self.arm](PracticeConfig(ENVS, self.episodes * self.world.episode_steps, network=network, ppo=ppo))


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a cell: counts of all environments by update, the update after which the monitor spoke, and what it took.

    `entropy` is that of the last update, in nats; `cpu_s` CPU-seconds.
    """

    cell: Cell
    collapses: tuple[int, ...]
    germinations: tuple[int, ...]
    rewards: tuple[float, ...]
    frozen_at: int | None
    entropy: float | None
    cpu_s: float

    @property
    def settled_collapses(self) -> float:
        """Collapses an episode in the last tenth."""
        return settled(self.collapses) / self.cell.episodes

    @property
    def settled_germinations(self) -> float:
        """Germinations an episode in the last tenth."""
        return settled(self.germinations) / self.cell.episodes


def settled(counts: tuple[int, ...] | tuple[float, ...]) -> float:
    """The mean of an environment in the last tenth of the updates."""
    last = counts[-max(1, round(SETTLED * len(counts))) :]
    return sum(last) / (len(last) * ENVS)


def run_cell(cell: Cell) -> Run:
    """Practise, and count."""
    torch.set_num_threads(1)
    worlds: list[BaitWorld] = []

    def make() -> BaitWorld:
        worlds.append(BaitWorld(cell.world))
        return worlds[-1]

    config = cell.config()
    counted = _Counted(worlds, config.rows, GrowthMonitor(cell.world.episode_steps))
    began = time.process_time()
    practised = train_env(make, config, cell.seed, cell.updates * config.rows, counted.follow)
    took = time.process_time() - began
    frozen_at = next((update for update, found in enumerate(counted.said) if found is not None), None)
    return Run(
        cell,
        _steps_of(counted.collapses),
        _steps_of(counted.germinations),
        tuple(counted.rewards),
        frozen_at,
        practised.reports[-1].entropy,
        took,
    )


class _Counted:
    """Sums over all worlds after every update."""

    def __init__(self, worlds: list[BaitWorld], rows: int, monitor: GrowthMonitor) -> None:
        self.worlds = worlds
        self.rows = rows
        self.monitor = monitor
        self.collapses = [0]
        self.germinations = [0]
        self.rewards: list[float] = []
        self.said: list[Frozen | None] = []

    def follow(self, progress: Progress) -> None:
        """One more update."""
        self.collapses.append(sum(world.collapses for world in self.worlds))
        self.germinations.append(sum(world.germinations for world in self.worlds))
        self.rewards.append(sum(episode.reward for episode in progress.episodes))
        self.monitor.germinated(self.germinations[-1] - self.germinations[-2])
        self.said.append(self.monitor.finish_rollout(self.rows, self.collapses[-1] - self.collapses[-2]))


def _steps_of(sums: list[int]) -> tuple[int, ...]:
    return tuple(after - before for before, after in pairwise(sums))
