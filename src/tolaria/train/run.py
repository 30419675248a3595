"""Everything of one run, put together from its config, and taken apart for a checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import torch

from tolaria.env.config import Recovery
from tolaria.env.growth_env import EnvConfig
from tolaria.env.pool import HostPool, LoopPool
from tolaria.env.vector_env import POOLS, VectorEnv
from tolaria.env.worker_pool import Plan, WorkerPool
from tolaria.errors import ConfigError
from tolaria.governor.governor import Governor
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.heuristic import HeuristicPolicy
from tolaria.policy.learned import LearnedPolicy
from tolaria.policy.noop import NoopPolicy
from tolaria.policy.policy import Policy
from tolaria.policy.random_policy import RandomPolicy
from tolaria.policy.schedule import SchedulePolicy
from tolaria.policy.scripted import ScriptedMove, ScriptedPolicy
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.learner import Learner
from tolaria.seams import NO_TAPS, Taps
from tolaria.seeding import derive_seed
from tolaria.tasks.choice import chosen
from tolaria.tasks.task import Task
from tolaria.tasks.wide import wide
from tolaria.telemetry.event import Point
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.frozen import GrowthMonitor
from tolaria.train.manifest import Facts, Tensors


@dataclass(slots=True)
class Tally:
    """What is counted of one environment's episode; `fresh`: its next row begins a segment.

    `touched`: the latest step of this life in which a decision was executed on a slot.
    """

    fresh: bool = True
    total_reward: float = 0.0
    rollbacks: int = 0
    touched: dict[str, int] = field(default_factory=dict)

    def count(self, reward: float, died: bool) -> None:
        """One more step."""
        self.total_reward += reward
        self.rollbacks += died


class Run:
    """The parts of a run and how far it is. `step` counts finished decision steps."""

    def __init__(
        self, config: TrainConfig, device: torch.device, history: History, taps: Taps, task: Task | None = None, workers: int = 1
    ) -> None:  # fmt: skip
        self.config = config
        self.history = history
        self.taps = taps
        self.step = 0
        self.begun = False
        # A task that is in no table is one of the caller's, and then its name is nothing but a name.
        task = task or build_task(config)
        self.task = task
        governed = config.governor
        recovery = Recovery(governed.live_seeds == "restore", governed.rewind, governed.rewarm_batches)
        env_config = EnvConfig(
            config.episode_length, config.training, config.gates, config.reward, governed.enabled, recovery, config.attribution
        )
        plan = Plan(task, env_config, config.seed, POOLS[config.backend], config.threads)
        check_backend(config.backend, device)
        pool = build_pool(plan, min(workers, config.envs), device, taps)
        self.envs = VectorEnv(task, env_config, config.envs, config.seed, device, taps, history.emit, pool)
        self.governors = [
            Governor(config.governor, task.chance_loss, task.explosion_loss, taps, history.emit, task.prior_loss)
            for _ in range(config.envs)
        ]
        self.policy = build_policy(config, self.envs.envs[0].actions)
        self.learner = (
            Learner(self.policy.agent, config.ppo, derive_seed(config.seed, "learner")) if isinstance(self.policy, LearnedPolicy) else None
        )
        self.buffer = RolloutBuffer(config.envs, config.rollout_steps, config.ppo)
        self.tallies = [Tally() for _ in range(config.envs)]
        self.monitor = GrowthMonitor(config.episode_length)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.step >= self.config.steps or not self.envs.active

    def begin(self) -> None:
        """A good snapshot of every host before the first step."""
        self.begun = True
        for env, governor in zip(self.envs.envs, self.governors, strict=True):
            env.note_controller(self.policy.position(env.env))
            governor.begin(env.training, Point(0, env.env))
        self.buffer.begin(self.policy.recurrent_state())

    def close(self) -> None:
        """Let go of whatever steps the environments."""
        self.envs.close()

    def capsule(self) -> tuple[Tensors, Facts]:
        """The run's whole mutable state: tensors by path, and JSON."""
        tensors: Tensors = {}
        governors = []
        for env, governor in zip(self.envs.envs, self.governors, strict=True):
            saved, facts = governor.capsule()
            tensors |= _under(f"governor/{env.env}", saved) | _under(f"env/{env.env}", env.training.all_tensors())
            governors.append(facts)
        tensors |= _under("policy", self.policy.tensors()) | _under("buffer", self.buffer.tensors())
        facts = {
            "step": self.step,
            "next_seq": self.history.next_seq,
            "data": self.task.digest,
            "envs": [env.facts() for env in self.envs.envs],
            "retired": sorted(self.envs.retired),
            "governors": governors,
            "policy": self.policy.facts(),
            "buffer": self.buffer.facts(),
            "tallies": [asdict(tally) for tally in self.tallies],
            "monitor": self.monitor.facts(),
        }
        if self.learner is not None:
            tensors |= _under("learner", self.learner.tensors())
            facts["learner"] = self.learner.facts()
        return tensors, facts

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Facts) -> None:
        """Become exactly what a checkpoint recorded."""
        if facts["data"] != self.task.digest:
            raise ConfigError("data", self.task.digest, f"the {self.task.name} that the run began with, SHA-256 {facts['data']}")
        self.step = facts["step"]
        self.begun = True
        self.envs.retired = set(facts["retired"])
        for env, governor in zip(self.envs.envs, self.governors, strict=True):
            env.resume(_below(f"env/{env.env}", tensors), facts["envs"][env.env])
            governor.restore(_below(f"governor/{env.env}", tensors), facts["governors"][env.env])
        self.policy.restore(_below("policy", tensors), facts["policy"])
        self.buffer.restore(_below("buffer", tensors), facts["buffer"])
        self.tallies = [Tally(**tally) for tally in facts["tallies"]]
        self.monitor.restore(facts["monitor"])
        if self.learner is not None:
            self.learner.restore(_below("learner", tensors), facts["learner"])


def build_task(config: TrainConfig) -> Task:
    """The task that the config names; raises `ConfigError` where its data is not there."""
    if config.width is not None:
        return wide(config.width)
    return chosen(config.task, config.data)


def build_pool(plan: Plan, workers: int, device: torch.device, taps: Taps) -> HostPool:
    """Who steps the environments: this process, or so many others. How many they are changes no bit, so that no config records it."""
    check_workers(workers, device)
    if workers == 1:
        return plan.pool()
    assert taps is NO_TAPS, "nobody listens in another process"
    return WorkerPool(plan, workers, together=plan.pool is not LoopPool)


def check_workers(workers: int, device: torch.device) -> None:
    """Refuse what no pool can do."""
    if workers < 1:
        raise ConfigError("workers", workers, "1 or more")
    if workers > 1 and device.type != "cpu":
        raise ConfigError("workers", workers, f"1 on {device.type}; only on the CPU environments are stepped in processes of their own")


def check_backend(backend: str, device: torch.device) -> None:
    """Refuse a backend that the device has no means for."""
    if backend == "graphs" and device.type != "cuda":
        raise ConfigError("backend", f"graphs on {device.type}", "a CUDA device, which alone can replay graphs")


def build_policy(config: TrainConfig, space: ActionSpace) -> Policy:
    """The controller that the config names."""
    seed = derive_seed(config.seed, "policy")
    if config.policy == "ppo":
        return LearnedPolicy(space, config.envs, config.ppo.hidden_size, seed, config.ppo.op_floor)
    if config.policy == "random":
        return RandomPolicy(space, seed)
    if config.policy == "scripted":
        return ScriptedPolicy([ScriptedMove(move.step, move.env, move.action) for move in config.script])
    if config.policy == "schedule":
        return SchedulePolicy(config.schedule)
    if config.policy == "noop":
        return NoopPolicy()
    return HeuristicPolicy(config.heuristic)


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is one. Refuses what is not there before anything is built."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError("device", name, "auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError("device", name, f"one of the {torch.cuda.device_count()} CUDA devices that PyTorch sees")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device", name, "a device that PyTorch sees; there is no mps")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError("device", name, "auto, cpu, cuda, cuda:N or mps")
    return device


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
