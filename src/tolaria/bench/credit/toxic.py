"""The toxic task: real hosts that grow, and one blueprint among good ones whose seeds kill their host.

A seed of the toxic blueprint that is still experimental `delay` steps after its germination explodes: a weight of its host
becomes NaN, whatever the seed's stage, and the governor rolls the host back. It imitates an optimizer step that runs away in one
kernel and writes over memory which the host shares. The blueprint itself is a real and harmless one, so that nothing but the
deaths tells which it is. As in the bait world a germination pays at once, the toxic one most. Rollouts are shorter than the delay,
so that the rows of the germination are never forgotten with those of the death. Everything else is the main road of `tolaria train`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar, cast

import torch

from tolaria.bench.credit.arms import SHIPPED
from tolaria.bench.credit.cells import PPO, SETTLED
from tolaria.env.config import AttributionConfig, RewardConfig, TrainingConfig
from tolaria.env.growth_env import GrowthEnv
from tolaria.governor.config import GovernorConfig
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.stage import EXPERIMENTAL, Stage
from tolaria.seams import NO_TAPS, REWARD_READY, Seam
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.run import Run

T = TypeVar("T")

TOXIC = "residual_mlp"
DELAY = 6
ROLLOUT_STEPS = 5
# What a germination pays at once, beside what the host's progress pays: the toxic one looks best, as in the bait world.
BAIT = 0.5
SAFE_PAY = 0.3
ENVS = 16
EPISODE_STEPS = 20
EPISODES = 50
NEVER = 10**9

# The governor owes a penalty below 0; this one teaches nothing.
NO_PENALTY = -1e-9
CLEAR = "clear"
CONTROL = "penalty-0"
Change = Callable[[TrainConfig], TrainConfig]
ARMS: Mapping[str, Change] = {
    SHIPPED: lambda config: config,
    CONTROL: lambda config: replace(config, governor=replace(config.governor, penalty=NO_PENALTY)),
    # `grow` drops the rows, because no configuration of `tolaria train` does.
    CLEAR: lambda config: config,
}


@dataclass(frozen=True, slots=True)
class ToxicCell:
    """A run: its arm and its seed, and how many episodes each environment has."""

    arm: str
    seed: int
    episodes: int = EPISODES

    def config(self) -> TrainConfig:
        """What is trained: short lives, every gate as open as it goes, and growing pays."""
        config = TrainConfig(
            task="spirals",
            policy="ppo",
            envs=ENVS,
            steps=self.episodes * EPISODE_STEPS,
            seed=self.seed,
            episode_steps=EPISODE_STEPS,
            rollout_steps=ROLLOUT_STEPS,
            backend="stacked",
            checkpoint_every=NEVER,
            training=TrainingConfig(batches_per_step=1),
            gates=GateConfig(training_steps_min=1, holding_steps_min=1, contribution_min=-1.0, seeds_max=2, prune_age_min=DELAY + 1),
            reward=RewardConfig(rent=0.0, action_cost=0.0),
            attribution=AttributionConfig(reablate_every=NEVER, commit_alphas=()),
            # However often a host dies, it is neither eased nor retired.
            governor=GovernorConfig(snapshot_every=2, probation=1, budget=NEVER, ease_from=NEVER),
            ppo=PPO,
        )
        return ARMS[self.arm](config)


@dataclass(frozen=True, slots=True)
class ToxicRun:
    """What came of a cell: counts of all environments by episode, and CPU-seconds."""

    cell: ToxicCell
    good: tuple[int, ...]
    toxic: tuple[int, ...]
    rollbacks: tuple[int, ...]
    cpu_s: float

    @property
    def toxic_share(self) -> float | None:
        """The part of all germinations in the last tenth that were toxic; None where nothing grew."""
        good, toxic = _last(self.good), _last(self.toxic)
        return toxic / (good + toxic) if good + toxic else None

    @property
    def good_an_episode(self) -> float:
        """Germinations of good blueprints an episode in the last tenth."""
        return _last(self.good) / (_tenth(self.good) * ENVS)

    @property
    def seeds_an_episode(self) -> float:
        """Germinations of any blueprint an episode in the last tenth."""
        return self.good_an_episode + _last(self.toxic) / (_tenth(self.toxic) * ENVS)

    @property
    def rollbacks_an_episode(self) -> float:
        """Rollbacks an episode in the last tenth."""
        return _last(self.rollbacks) / (_tenth(self.rollbacks) * ENVS)


class Counted(History):
    """A history that keeps counts instead of events: a run of this length tells a million. `paid`: by environment, step and pay."""

    def __init__(self) -> None:
        super().__init__()
        self.good = 0
        self.toxic = 0
        self.rollbacks = 0
        self.paid: dict[int | None, tuple[int, float]] = {}

    def emit(self, event: Event) -> None:
        """Count what germinated and what was rolled back."""
        if isinstance(event, RolledBack):
            self.rollbacks += 1
        elif isinstance(event, StageChanged) and event.stage_to is Stage.GERMINATED:
            self.toxic += event.blueprint == TOXIC
            self.good += event.blueprint != TOXIC
            self.paid[event.at.env] = (event.at.step, BAIT if event.blueprint == TOXIC else SAFE_PAY)


class Paymaster:
    """Pays for a germination in the step in which it happens, before anybody knows what comes of it."""

    def __init__(self, history: Counted) -> None:
        self._history = history

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        """A reward with the pay in it; anything else as it came."""
        step, pay = self._history.paid.get(at.env, (None, 0.0))
        if seam is not cast("Seam[Any]", REWARD_READY) or step != at.step:
            return value
        return cast("T", cast("float", value) + pay)


def grow(cell: ToxicCell) -> ToxicRun:
    """Train, and count."""
    torch.set_num_threads(1)
    began = time.process_time()
    history = Counted()
    run = Run(cell.config(), torch.device("cpu"), history, NO_TAPS)
    # It is heard on the main road alone, so that hosts are trained as one stack.
    run.taps = Paymaster(history)
    run.begin()
    counts = [(0, 0, 0)]
    while not run.finished:
        explode(run.envs.active)
        take_step(run)
        if cell.arm == CLEAR:
            forget_the_dead(run)
        if run.step % run.config.rollout_steps == 0:
            finish_rollout(run)
        if run.step % EPISODE_STEPS == 0:
            counts.append((history.good, history.toxic, history.rollbacks))
    good, toxic, rollbacks = ([later - earlier for earlier, later in pairwise(each)] for each in zip(*counts, strict=True))
    return ToxicRun(cell, tuple(good), tuple(toxic), tuple(rollbacks), time.process_time() - began)


def explode(envs: list[GrowthEnv]) -> None:
    """Between two steps: every toxic seed that is old enough takes its host with it."""
    for env in envs:
        host = env.training.host
        due = [
            state
            for state in host.slot_states().values()
            if state.blueprint == TOXIC and state.stage in EXPERIMENTAL and state.age >= DELAY
        ]
        if due:
            with torch.no_grad():
                next(iter(host.own_parameters().values())).view(-1)[0] = torch.nan


def forget_the_dead(run: Run) -> None:
    """What the reviewed governor did: everything that an environment did in this rollout is gone when its host dies."""
    for env in range(run.config.envs):
        rows = run.buffer.rows(env)
        if rows and rows[-1].penalized:
            run.buffer.forget(env)


def _tenth(counts: tuple[int, ...]) -> int:
    return max(1, round(SETTLED * len(counts)))


def _last(counts: tuple[int, ...]) -> int:
    return sum(counts[-_tenth(counts) :])
