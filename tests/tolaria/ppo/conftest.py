"""What the tests of learning share: a host that needs no training, and rollouts played on it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import torch

from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.learned import LearnedPolicy
from tolaria.policy.view import View
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.row import Row

SPACE = ActionSpace(("s0", "s1"), ("norm", "mlp"))
EMPTY = (SlotState("s0"), SlotState("s1"))
SEALED = (SlotState("s0", Stage.FOSSILIZED, "mlp"), SlotState("s1", Stage.FOSSILIZED, "mlp"))


@dataclass
class Playground:
    """A policy on environments that only count their steps, and the buffer of its rollout.

    `deaths`, `limits` and `forced` hold pairs (step, env); `retired` maps an environment to its last step.
    """

    num_envs: int = 3
    horizon: int = 8
    config: PpoConfig = field(default_factory=PpoConfig)
    seed: int = 5

    def __post_init__(self) -> None:
        self.policy = LearnedPolicy(SPACE, self.num_envs, self.config.hidden_size, self.seed)
        self.buffer = RolloutBuffer(self.num_envs, self.horizon, self.config)
        self.fresh = [True] * self.num_envs
        self.age = [0] * self.num_envs

    def view(self, env: int, forced: bool = False) -> View:
        slots = {state.slot: state for state in (SEALED if forced else EMPTY)}
        return View(env, self.age[env], 20, 2.0, slots, SPACE.blueprints, GateConfig())

    def play(
        self,
        deaths: frozenset[tuple[int, int]] = frozenset(),
        limits: frozenset[tuple[int, int]] = frozenset(),
        forced: frozenset[tuple[int, int]] = frozenset(),
        retired: dict[int, int] | None = None,
        reward: float = 0.1,
        steps: range | None = None,
    ) -> None:
        steps = range(self.horizon) if steps is None else steps
        if steps.start == 0:
            self.buffer.begin(self.policy.recurrent_state())
        for step in steps:
            live = [env for env in range(self.num_envs) if step <= (retired or {}).get(env, self.horizon)]
            choices = self.policy.act([self.view(env, (step, env) in forced) for env in live])
            for env, choice in zip(live, choices, strict=True):
                assert choice.record is not None
                self.age[env] += 1
                if (step, env) in deaths or (retired or {}).get(env) == step:
                    row = Row.death(step, 0, choice.record, -10.0, self.fresh[env])
                else:
                    cut = (step, env) in limits
                    bootstrap = self.policy.values([self.view(env)])[0] if cut else 0.0
                    row = Row(step, 0, choice.record, reward * (step + env), truncated=cut, bootstrap=bootstrap, fresh=self.fresh[env])
                self.buffer.remember(env, row)
                self.fresh[env] = row.ended
                if row.ended:
                    self.age[env] = 0
                    self.policy.begin_life(env)

    def finish(self) -> None:
        self.buffer.finish(dict(enumerate(self.policy.values([self.view(env) for env in range(self.num_envs)]))))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices are slower on several threads, and much slower where these have to share a core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def rollout() -> Callable[..., Playground]:
    return Playground
