"""The learner: agent, optimizer and patience. It learns from rollouts until too many in a row teach nothing."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from tolaria.errors import ConfigError, TolariaError
from tolaria.policy.agent import Agent
from tolaria.policy.policy import JSON
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.update import ANSWER_BROKEN, PARAMETER_BROKEN, UpdateReport, update


class UpdatesSkipped(TolariaError):
    """So many updates in a row were not finite that going on would be pretending to learn."""


class Learner:
    """Owns the optimizer of an agent. The spread of returns belongs to the buffer, whose rewards it scales."""

    def __init__(self, agent: Agent, config: PpoConfig, seed: int = 0) -> None:
        if config.minibatches > agent.num_envs and not config.shuffle:
            raise ConfigError("ppo.minibatches", config.minibatches, f"at most the {agent.num_envs} environments")
        self.agent = agent
        self.config = config
        self.optimizer = torch.optim.Adam(agent.net.parameters(), lr=config.lr, eps=1e-5)
        self._seed = seed
        self._updates = 0
        # Skipped updates since the last that was not.
        self._skipped = 0

    def learn(self, buffer: RolloutBuffer) -> UpdateReport:
        """One update; raises `UpdatesSkipped` when the last allowed one was skipped as well."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr_at(self._updates)
        report = update(self.agent, self.optimizer, buffer, self.config, self._updates, self._seed)
        # An empty rollout says nothing about the learner.
        if buffer.num_rows > 0:
            self._updates += 1
            # A policy that kept its entropy by being put back may learn from the next rollout; one that broke is in trouble.
            broken = report.skipped or (report.restored if report.restored in {PARAMETER_BROKEN, ANSWER_BROKEN} else "")
            self._skipped = self._skipped + 1 if broken else 0
            if self._skipped >= self.config.max_skipped_updates:
                raise UpdatesSkipped(f"{self._skipped} updates in a row were skipped: {broken}")
        return report

    def tensors(self) -> dict[str, Tensor]:
        """The optimizer's state by parameter name; the agent's own tensors are its own."""
        return {
            f"optimizer.{name}.{key}": tensor.detach().clone()
            for name, parameter in self.agent.net.named_parameters()
            for key, tensor in self.optimizer.state[parameter].items()
        }

    def facts(self) -> dict[str, JSON]:
        """How many updates there were, and how many in a row were skipped."""
        return {"updates": self._updates, "skipped": self._skipped}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Put back what `tensors` and `facts` gave."""
        self._updates = cast("int", facts["updates"])
        self._skipped = cast("int", facts["skipped"])
        self.optimizer.state.clear()
        parameters = dict(self.agent.net.named_parameters())
        for path, tensor in tensors.items():
            name, _, key = path.removeprefix("optimizer.").rpartition(".")
            self.optimizer.state[parameters[name]][key] = tensor.clone()
