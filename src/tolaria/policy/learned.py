"""The learning controller: the network, the recurrent state of every environment, and a random stream for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tolaria.policy.action_space import ActionSpace
from tolaria.policy.actor_critic import ActorCritic
from tolaria.policy.distribution import joint_log_prob, sample
from tolaria.policy.masks import masks_of
from tolaria.policy.observation import observation_size, observe
from tolaria.policy.policy import JSON, Choice, Record, RecurrentState
from tolaria.policy.view import View
from tolaria.seeding import derive_seed


class LearnedPolicy:
    """Environments are numbered 0 to N - 1.

    The network always sees all N rows, zeros for environments that are not asked about: the rounding of a matrix product
    depends on its shape, and so the retirement of one environment would reach the others' last bits.
    """

    def __init__(self, space: ActionSpace, num_envs: int, hidden_size: int, seed: int) -> None:
        self.space = space
        self.num_envs = num_envs
        self._observation_size = observation_size(len(space.slots), len(space.blueprints))
        self.net = ActorCritic(self._observation_size, space.sizes, hidden_size, seed)
        self._state = self.net.initial_state(num_envs)
        self._generators = [torch.Generator().manual_seed(derive_seed(seed, "learned_policy", env)) for env in range(num_envs)]

    def act(self, views: Sequence[View]) -> list[Choice]:
        """Sample one action for each view."""
        seen = self._see(views)
        noise = torch.ones(self.num_envs, sum(self.space.sizes))
        for view in views:
            noise[view.env].exponential_(generator=self._generators[view.env])
        # Not inference mode: its tensors could never take part in training, and the buffer keeps these.
        with torch.no_grad():
            logits, values, state = self.net(seen.observations[None], self._state, torch.zeros(1, self.num_envs, dtype=torch.bool))
            logits = [head[0] for head in logits]
            indices = sample(logits, seen.op_masks, seen.slot_masks, noise)
            log_probs = joint_log_prob(logits, seen.op_masks, seen.slot_masks, indices)
            self._state = _chosen(seen.asked, state, self._state)
        return [self._choice(seen, view.env, indices, log_probs, values[0]) for view in views]

    def values(self, views: Sequence[View]) -> list[float]:
        """The value of each view after what was seen so far."""
        seen = self._see(views)
        with torch.no_grad():
            _, values, _ = self.net(seen.observations[None], self._state, torch.zeros(1, self.num_envs, dtype=torch.bool))
        return [float(values[0, view.env]) for view in views]

    def begin_life(self, env: int) -> None:
        """Zero the recurrent state of one environment."""
        begun = torch.zeros(self.num_envs, dtype=torch.bool)
        begun[env] = True
        self._state = _chosen(begun, self.net.initial_state(self.num_envs), self._state)

    def position(self, env: int) -> JSON:
        """None: a learner pays for the life that ended and decides anew, with new noise and a fresh recurrent state."""
        assert 0 <= env < self.num_envs, env
        return None

    def rewind(self, env: int, position: JSON) -> None:
        """Nothing is wound back."""
        assert position is None, (env, position)

    def recurrent_state(self) -> RecurrentState:
        """A copy of what is carried now, [N, H] twice."""
        return self._state[0].clone(), self._state[1].clone()

    def tensors(self) -> dict[str, Tensor]:
        """Weights, recurrent state, and the position of every stream."""
        weights = {f"net.{name}": tensor.detach().clone() for name, tensor in self.net.state_dict().items()}
        positions = {f"generator.{env}": generator.get_state() for env, generator in enumerate(self._generators)}
        hidden, cell = self.recurrent_state()
        return {**weights, **positions, "state.hidden": hidden, "state.cell": cell}

    def facts(self) -> dict[str, JSON]:
        """None: everything that changes is a tensor."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Put everything back; nothing is written unless names and shapes agree."""
        own = self.tensors()
        assert tensors.keys() == own.keys(), sorted(tensors.keys() ^ own.keys())
        assert all(tensors[name].shape == tensor.shape for name, tensor in own.items())
        assert not facts, sorted(facts)
        self.net.load_state_dict({name: tensors[f"net.{name}"] for name in self.net.state_dict()})
        for env, generator in enumerate(self._generators):
            generator.set_state(tensors[f"generator.{env}"])
        self._state = tensors["state.hidden"].clone(), tensors["state.cell"].clone()

    def _see(self, views: Sequence[View]) -> "_Seen":
        asked = torch.zeros(self.num_envs, dtype=torch.bool)
        observations = np.zeros((self.num_envs, self._observation_size), dtype=np.float32)
        op_masks = np.ones((self.num_envs, self.space.sizes[0]), dtype=np.bool_)
        slot_masks = np.ones((self.num_envs, self.space.sizes[0], self.space.sizes[1]), dtype=np.bool_)
        for view in views:
            assert tuple(view.slots) == self.space.slots, tuple(view.slots)
            assert view.blueprints == self.space.blueprints, view.blueprints
            assert not asked[view.env], view.env
            asked[view.env] = True
            masks = masks_of(view)
            observations[view.env], op_masks[view.env], slot_masks[view.env] = observe(view), masks.op, masks.slot_by_op
        return _Seen(asked, torch.from_numpy(observations), torch.from_numpy(op_masks), torch.from_numpy(slot_masks))

    def _choice(self, seen: "_Seen", env: int, indices: Tensor, log_probs: Tensor, values: Tensor) -> Choice:
        record = Record(
            observation=seen.observations[env].clone(),
            op_mask=seen.op_masks[env].clone(),
            slot_mask=seen.slot_masks[env].clone(),
            indices=indices[env].clone(),
            log_prob=float(log_probs[env]),
            value=float(values[env]),
            forced=int(seen.op_masks[env].sum()) == 1,
        )
        return Choice(action=self.space.decode(indices[env].tolist()), record=record)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """All views as the network takes them: `asked` [N], `observations` [N, D], `op_masks` [N, 6], `slot_masks` [N, 6, S]."""

    asked: Tensor
    observations: Tensor
    op_masks: Tensor
    slot_masks: Tensor


def _chosen(which: Tensor, new: RecurrentState, old: RecurrentState) -> RecurrentState:
    """The new state of the chosen environments, and of the others the old one, to the last bit."""
    return torch.where(which[:, None], new[0], old[0]), torch.where(which[:, None], new[1], old[1])
