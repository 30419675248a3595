"""The part of a learning controller that knows only arrays: a network, what its logits mean, and what is carried for each environment.

N environments, D features, M choices in a mask, K heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tolaria.policy.actor_critic import ActorCritic
from tolaria.policy.config import NetworkConfig
from tolaria.policy.distribution import Distribution
from tolaria.policy.policy import Record, RecurrentState
from tolaria.seeding import derive_seed


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of all environments: `observations` [N, D], `masks` [N, M], and which of them are asked about, `asked` [N].

    Rows of environments that are not asked about are zeros and open masks. Nobody may write to these arrays afterwards.
    """

    observations: Tensor
    masks: Tensor
    asked: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What was decided of what was seen: `indices` [N, K], and by environment log-probability, value and whether it was forced."""

    seen: Seen
    indices: Tensor
    log_probs: list[float]
    values: list[float]
    forced: list[bool]

    def record(self, env: int) -> Record:
        """What a learner must remember of one environment."""
        return Record(
            self.seen.observations[env],
            self.seen.masks[env],
            self.indices[env],
            self.log_probs[env],
            self.values[env],
            self.forced[env],
        )


class Agent:
    """Environments are numbered 0 to N - 1.

    The network always sees all N rows: the rounding of a matrix product depends on its shape, and so the retirement of one
    environment would reach the others' last bits. Each environment has a random stream of its own.
    """

    def __init__(self, observation_size: int, distribution: Distribution, num_envs: int, config: NetworkConfig, seed: int) -> None:
        self.distribution = distribution
        self.num_envs = num_envs
        self.net = ActorCritic(observation_size, distribution.sizes, config, seed)
        self._state = self.net.initial_state(num_envs)
        self._generators = [torch.Generator().manual_seed(derive_seed(seed, "learned_policy", env)) for env in range(num_envs)]
        self._no_life_begins = torch.zeros(1, num_envs, dtype=torch.bool)

    def act(self, seen: Seen) -> Decided:
        """Sample one action for each environment that is asked about; only their states and streams advance."""
        noise = torch.ones(self.num_envs, sum(self.distribution.sizes))
        everyone = bool(seen.asked.all())
        for env in range(self.num_envs) if everyone else seen.asked.nonzero().flatten().tolist():
            noise[env].exponential_(generator=self._generators[env])
        decided, state = self._decide(seen, noise)
        self._state = state if everyone else _chosen(seen.asked, state, self._state)
        return decided

    def act_best(self, seen: Seen) -> Tensor:
        """The likeliest actions [N, K]; the states of who is asked about advance, and no stream."""
        decided, state = self._decide(seen, torch.ones(self.num_envs, sum(self.distribution.sizes)))
        self._state = _chosen(seen.asked, state, self._state)
        return decided.indices

    def values(self, observations: Tensor) -> list[float]:
        """The value of each environment's observation [N, D] after what was seen so far; advances nothing."""
        with torch.no_grad():
            _, values, _ = self.net(observations[None], self._state, self._no_life_begins)
        return values[0].tolist()  # type: ignore[no-any-return]  # torch does not type what a tensor's list holds

    def begin_life(self, env: int) -> None:
        """Zero the recurrent state of one environment."""
        begun = torch.zeros(self.num_envs, dtype=torch.bool)
        begun[env] = True
        self._state = _chosen(begun, self.net.initial_state(self.num_envs), self._state)

    def recurrent_state(self) -> RecurrentState:
        """A copy of what is carried now, [N, H] twice."""
        return self._state[0].clone(), self._state[1].clone()

    def tensors(self) -> dict[str, Tensor]:
        """Weights, recurrent state, and the position of every stream."""
        weights = {f"net.{name}": tensor.detach().clone() for name, tensor in self.net.state_dict().items()}
        positions = {f"generator.{env}": generator.get_state() for env, generator in enumerate(self._generators)}
        hidden, cell = self.recurrent_state()
        return {**weights, **positions, "state.hidden": hidden, "state.cell": cell}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put everything back; nothing is written unless names and shapes agree."""
        own = self.tensors()
        assert tensors.keys() == own.keys(), sorted(tensors.keys() ^ own.keys())
        assert all(tensors[name].shape == tensor.shape for name, tensor in own.items())
        self.net.load_state_dict({name: tensors[f"net.{name}"] for name in self.net.state_dict()})
        for env, generator in enumerate(self._generators):
            generator.set_state(tensors[f"generator.{env}"])
        self._state = tensors["state.hidden"].clone(), tensors["state.cell"].clone()

    def _decide(self, seen: Seen, noise: Tensor) -> tuple[Decided, RecurrentState]:
        # Not inference mode: its tensors could never take part in training, and the buffer keeps these.
        with torch.no_grad():
            logits, values, state = self.net(seen.observations[None], self._state, self._no_life_begins)
            logits = [head[0] for head in logits]
            indices = self.distribution.sample(logits, seen.masks, noise)
            log_probs = self.distribution.log_prob(logits, seen.masks, indices)
            forced = self.distribution.forced(seen.masks)
        return Decided(seen, indices, log_probs.tolist(), values[0].tolist(), forced.tolist()), state


def _chosen(which: Tensor, new: RecurrentState, old: RecurrentState) -> RecurrentState:
    """The new state of the chosen environments, and of the others the old one, to the last bit."""
    return torch.where(which[:, None], new[0], old[0]), torch.where(which[:, None], new[1], old[1])
