"""The learning controller of growth: views become arrays, an agent decides, and its indices become actions."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from tolaria.policy.action_space import ActionSpace
from tolaria.policy.actor_critic import ActorCritic
from tolaria.policy.agent import Agent, Seen
from tolaria.policy.config import NetworkConfig
from tolaria.policy.distribution import GrowthActions
from tolaria.policy.masks import masks_of
from tolaria.policy.observation import observation_size, observe
from tolaria.policy.policy import JSON, Choice, RecurrentState
from tolaria.policy.view import View


class LearnedPolicy:
    """Environments are numbered 0 to N - 1; the agent sees zeros for those that are not asked about."""

    def __init__(self, space: ActionSpace, num_envs: int, hidden_size: int, seed: int, op_floor: float = 0.0) -> None:
        self.space = space
        self.num_envs = num_envs
        self._observation_size = observation_size(len(space.slots), len(space.blueprints))
        network = NetworkConfig(widths=(hidden_size,), memory_size=hidden_size)
        self.agent = Agent(self._observation_size, GrowthActions(space.sizes, op_floor), num_envs, network, seed)

    @property
    def net(self) -> ActorCritic:
        """The network of the agent."""
        return self.agent.net

    def act(self, views: Sequence[View]) -> list[Choice]:
        """Sample one action for each view."""
        decided = self.agent.act(self._see(views))
        indices = decided.indices.tolist()
        return [Choice(self.space.decode(indices[view.env]), decided.record(view.env)) for view in views]

    def values(self, views: Sequence[View]) -> list[float]:
        """The value of each view after what was seen so far."""
        values = self.agent.values(self._see(views).observations)
        return [values[view.env] for view in views]

    def begin_life(self, env: int) -> None:
        """Zero the recurrent state of one environment."""
        self.agent.begin_life(env)

    def position(self, env: int) -> JSON:
        """None: a learner pays for the life that ended and decides anew, with new noise and a fresh recurrent state."""
        assert 0 <= env < self.num_envs, env
        return None

    def rewind(self, env: int, position: JSON) -> None:
        """Nothing is wound back."""
        assert position is None, (env, position)

    def recurrent_state(self) -> RecurrentState:
        """A copy of what is carried now, [N, H] twice."""
        return self.agent.recurrent_state()

    def tensors(self) -> dict[str, Tensor]:
        """Weights, recurrent state, and the position of every stream."""
        return self.agent.tensors()

    def facts(self) -> dict[str, JSON]:
        """None: everything that changes is a tensor."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Put everything back; nothing is written unless names and shapes agree."""
        assert not facts, sorted(facts)
        self.agent.restore(tensors)

    def _see(self, views: Sequence[View]) -> Seen:
        asked = torch.zeros(self.num_envs, dtype=torch.bool)
        observations = np.zeros((self.num_envs, self._observation_size), dtype=np.float32)
        open_masks = np.ones((self.num_envs, self.agent.distribution.mask_size), dtype=np.bool_)
        for view in views:
            assert tuple(view.slots) == self.space.slots, tuple(view.slots)
            assert view.blueprints == self.space.blueprints, view.blueprints
            assert not asked[view.env], view.env
            asked[view.env] = True
            observations[view.env], open_masks[view.env] = observe(view), masks_of(view).flat
        return Seen(torch.from_numpy(observations), torch.from_numpy(open_masks), asked)
