"""The learner: policy, optimizer and patience. It learns from rollouts until too many in a row teach nothing."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from tolaria.errors import ConfigError, TolariaError
from tolaria.policy.learned import LearnedPolicy
from tolaria.policy.policy import JSON
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.update import UpdateReport, update


class UpdatesSkipped(TolariaError):
    """So many updates in a row were not finite that going on would be pretending to learn."""


class Learner:
    """Owns the optimizer of a policy. The spread of returns belongs to the buffer, whose rewards it scales."""

    def __init__(self, policy: LearnedPolicy, config: PpoConfig) -> None:
        if config.minibatches > policy.num_envs:
            raise ConfigError("ppo.minibatches", config.minibatches, f"at most the {policy.num_envs} environments")
        self.policy = policy
        self.config = config
        self.optimizer = torch.optim.Adam(policy.net.parameters(), lr=config.lr, eps=1e-5)
        # Skipped updates since the last that was not.
        self._skipped = 0

    def learn(self, buffer: RolloutBuffer) -> UpdateReport:
        """One update; raises `UpdatesSkipped` when the last allowed one was skipped as well."""
        report = update(self.policy, self.optimizer, buffer, self.config)
        # An empty rollout says nothing about the learner.
        if buffer.num_rows > 0:
            self._skipped = self._skipped + 1 if report.skipped else 0
        if self._skipped >= self.config.max_skipped_updates:
            raise UpdatesSkipped(f"{self._skipped} updates in a row were skipped: {report.skipped}")
        return report

    def tensors(self) -> dict[str, Tensor]:
        """The optimizer's state by parameter name; the policy's own tensors are its own."""
        return {
            f"optimizer.{name}.{key}": tensor.detach().clone()
            for name, parameter in self.policy.net.named_parameters()
            for key, tensor in self.optimizer.state[parameter].items()
        }

    def facts(self) -> dict[str, JSON]:
        """How many updates in a row were skipped."""
        return {"skipped": self._skipped}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Put back what `tensors` and `facts` gave."""
        self._skipped = cast("int", facts["skipped"])
        self.optimizer.state.clear()
        parameters = dict(self.policy.net.named_parameters())
        for path, tensor in tensors.items():
            name, _, key = path.removeprefix("optimizer.").rpartition(".")
            self.optimizer.state[parameters[name]][key] = tensor.clone()
