"""Practice: an agent learns in copies of any environment of gymnasium whose actions are discrete.

It is the learner of growth without growth: rows, advantages and updates are the same code. A step that ends in a rollback, which
an environment tells in `info["rollback"]` of a terminated step, becomes the row that owes the death penalty. There, "causes" lists
pairs: how many steps ago what led to it was decided, and its weight, 1 in all at most; True instead blames nothing before the step
itself. What begins with the next `reset` is a new life.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tolaria.policy.agent import Agent, Decided
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.learner import Learner
from tolaria.ppo.penalty import Cause
from tolaria.ppo.row import Row
from tolaria.ppo.update import UpdateReport
from tolaria.practice.config import PracticeConfig
from tolaria.practice.normalizer import ObservationNormalizer
from tolaria.practice.spaces import AnyEnv
from tolaria.practice.worlds import Happened, Worlds
from tolaria.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode that is over: after how many steps of practice, what it came to, how long it was, whether it was rolled back."""

    at: int
    reward: float
    length: int
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Where practice stands after an update; `report` is what that update did."""

    steps: int
    steps_total: int
    episodes: tuple[Episode, ...]
    report: UpdateReport


@dataclass(slots=True, eq=False)
class Practised:
    """What came of practice: the agent, the scale of its observations, and every episode in order."""

    agent: Agent
    normalizer: ObservationNormalizer | None
    steps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    reports: list[UpdateReport] = field(default_factory=list)


def train_env(
    make_env: Callable[[], AnyEnv],
    config: PracticeConfig,
    seed: int,
    steps: int,
    progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Practised:
    """Practise for so many steps of all copies together, rounded up to whole rollouts, or until asked to stop after an update."""
    worlds = Worlds(make_env, config.envs, derive_seed(seed, "practice"), config.normalize_observations)
    practice = Practice(worlds, config, seed)
    done = practice.practised
    try:
        while done.steps < steps and not should_stop():
            before = len(done.episodes)
            practice.rollout()
            done.reports.append(practice.learn())
            progress(Progress(done.steps, steps, tuple(done.episodes[before:]), done.reports[-1]))
    finally:
        worlds.close()
    return done


class Practice:
    """The parts of one training, and where each copy stands in its episode; `rollout` and `learn` take turns."""

    def __init__(self, worlds: Worlds, config: PracticeConfig, seed: int) -> None:
        self.worlds = worlds
        self.config = config
        agent = Agent(worlds.observation_size, worlds.distribution, config.envs, config.network, derive_seed(seed, "agent"))
        self.learner = Learner(agent, config.ppo, derive_seed(seed, "learner"))
        self.buffer = RolloutBuffer(config.envs, config.rollout_steps, config.ppo)
        self.practised = Practised(agent, worlds.normalizer)
        self._fresh = [True] * config.envs
        self._lives = [0] * config.envs
        self._rewards = [0.0] * config.envs
        self._lengths = [0] * config.envs
        # What the normalizer has not counted yet.
        self._shown: list[NDArray[np.float32]] = []

    def rollout(self) -> None:
        """So many steps of every copy."""
        agent, worlds = self.practised.agent, self.worlds
        self.buffer.begin(agent.recurrent_state())
        for step in range(self.config.rollout_steps):
            if step and self.config.segment_steps is not None and step % self.config.segment_steps == 0:
                self.buffer.mark(agent.recurrent_state())
            if worlds.normalizer is not None:
                self._shown.append(worlds.observations)
            decided = agent.act(worlds.seen())
            happened = [worlds.step(env, indices) for env, indices in enumerate(decided.indices.tolist())]
            self.practised.steps += len(happened)
            for env, bootstrap in enumerate(self._bootstraps(happened)):
                self._remember(env, step, decided, happened[env], bootstrap)
        self.buffer.finish(dict(enumerate(agent.values(worlds.seen().observations))))

    def learn(self) -> UpdateReport:
        """One update; afterwards the scale of observations may move."""
        report = self.learner.learn(self.buffer)
        self.buffer.clear()
        if self.worlds.normalizer is not None:
            self.worlds.normalizer.observe(np.concatenate(self._shown))
            self._shown.clear()
        return report

    def _bootstraps(self, happened: list[Happened]) -> list[float]:
        """The value of the state after the step for each copy that may have been cut off, with the memory it had there; 0 for others."""
        cut = [one.truncated or one.rollback is not None for one in happened]
        if not any(cut):
            return [0.0] * len(happened)
        values = self.practised.agent.values(self.worlds.normalized(np.stack([one.last for one in happened])))
        return [value if each else 0.0 for value, each in zip(values, cut, strict=True)]

    def _remember(self, env: int, step: int, decided: Decided, happened: Happened, bootstrap: float) -> None:
        ended = True
        if happened.rollback is None:
            ended = happened.terminated or happened.truncated
            record, life, fresh = decided.record(env), self._lives[env], self._fresh[env]
            row = Row(step, life, record, happened.reward, happened.terminated, happened.truncated, bootstrap, fresh)
            self.buffer.remember(env, row)
        elif self.config.rollback == "clear":
            self.buffer.forget(env)
        else:
            ended = self._charge(env, step, decided, happened, bootstrap)
        self._rewards[env] += happened.reward
        self._lengths[env] += 1
        self._fresh[env] = ended
        if ended or happened.rollback is not None:
            episode = Episode(self.practised.steps, self._rewards[env], self._lengths[env], happened.rollback is not None)
            self.practised.episodes.append(episode)
            self._lives[env] += 1
            self._rewards[env], self._lengths[env] = 0.0, 0
        if ended:
            self.practised.agent.begin_life(env)

    def _charge(self, env: int, step: int, decided: Decided, happened: Happened, bootstrap: float) -> bool:
        """The row of a step that was rolled back; whether its segment ends there."""
        life, record, fresh = self._lives[env], decided.record(env), self._fresh[env]
        if self.config.rollback == "truncate":
            self.buffer.remember(env, Row(step, life, record, happened.reward, truncated=True, bootstrap=bootstrap, fresh=fresh))
            return True
        if self.config.ppo.rollback_transition == "terminal":
            row = Row.death(step, life, record, self.config.penalty, fresh)
        else:
            row = Row.setback(step, life, record, self.config.penalty, fresh, bootstrap if happened.truncated else None)
        self.buffer.charge(env, row, _causes(happened, step))
        return row.ended


def _causes(happened: Happened, step: int) -> tuple[Cause, ...]:
    """Who is to blame, by the step of the rollout; one that lies before it, below 0, has nobody here to bear its share."""
    assert happened.rollback is not None
    return tuple(Cause(step - int(ago), float(weight)) for ago, weight in happened.rollback.get("causes", ()))
