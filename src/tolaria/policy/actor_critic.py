"""The network of a learning controller: an encoder, a memory where it is wanted, one head for each factor of the action, one for the value.

T steps, N environments, D features, H the size of the recurrent state.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from tolaria.host.randomness import seeded
from tolaria.policy.config import NetworkConfig
from tolaria.policy.policy import RecurrentState
from tolaria.seeding import derive_seed

# So small that the first policy is nearly uniform over what is legal (Andrychowicz et al. 2021).
HEAD_GAIN = 0.01
ACTIVATION_LAYERS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class ActorCritic(nn.Module):
    """Logits of every head and the value of the state. The value knows no action, so it can be a baseline for all of them."""

    def __init__(self, observation_size: int, head_sizes: Sequence[int], config: NetworkConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        self.state_size = config.memory_size if config.remembers else 0
        features = self.state_size or config.widths[-1]
        with seeded(derive_seed(seed, "actor_critic")):
            self.trunk = _encoder(observation_size, config)
            self.cell = nn.LSTM(config.widths[-1], self.state_size) if config.remembers else None
            self.heads = nn.ModuleList(nn.Linear(features, size) for size in head_sizes)
            self.value = nn.Linear(features, 1)
            for head in [*self.heads, self.value]:
                nn.init.orthogonal_(head.weight, gain=HEAD_GAIN)
                nn.init.zeros_(head.bias)
            if config.orthogonal:
                nn.init.orthogonal_(self.value.weight)
            if self.cell is not None:
                _open_forget_gate(self.cell, config.forget_bias)
            self.value_trunk = _encoder(observation_size, config) if config.value_trunk else None

    def initial_state(self, num_envs: int) -> RecurrentState:
        """The state every life begins with: zeros, [N, H] twice."""
        return torch.zeros(num_envs, self.state_size), torch.zeros(num_envs, self.state_size)

    def forward(self, observations: Tensor, state: RecurrentState, fresh: Tensor) -> tuple[list[Tensor], Tensor, RecurrentState]:
        """Logits [T, N, size] of each head, values [T, N] and the state after the last step.

        `observations` is [T, N, D]. Before a step where `fresh` [T, N] is true the state of that environment is zero.
        """
        features = self.trunk(observations)
        if self.cell is not None:
            features, state = _unrolled(self.cell, features, state, fresh)  # [T, N, H]
        judged = features if self.value_trunk is None else self.value_trunk(observations)
        return [head(features) for head in self.heads], self.value(judged).squeeze(-1), state


def _encoder(observation_size: int, config: NetworkConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size, width in pairwise((observation_size, *config.widths)):
        linear = nn.Linear(size, width)
        if config.orthogonal:
            nn.init.orthogonal_(linear.weight, gain=math.sqrt(2.0))
            nn.init.zeros_(linear.bias)
        layers += [linear, *([nn.LayerNorm(width)] if config.layer_norm else []), ACTIVATION_LAYERS[config.activation]()]
    return nn.Sequential(*layers)


def _open_forget_gate(memory: nn.LSTM, bias: float) -> None:
    # PyTorch keeps the gates in the order input, forget, cell, output, and adds two biases.
    forget = slice(memory.hidden_size, 2 * memory.hidden_size)
    with torch.no_grad():
        memory.get_parameter("bias_ih_l0")[forget] += bias


def _unrolled(memory: nn.LSTM, inputs: Tensor, state: RecurrentState, fresh: Tensor) -> tuple[Tensor, RecurrentState]:
    """What the memory makes of the inputs, and its state after the last of them."""
    # Between two steps that begin a life somewhere, the cell runs through without a stop.
    begun = fresh.any(dim=1).tolist()
    cuts = [0, *(t for t in range(1, len(begun)) if begun[t]), len(begun)]
    hidden, cell = state[0].unsqueeze(0), state[1].unsqueeze(0)  # [1, N, H]
    outputs = []
    for start, end in pairwise(cuts):
        # Selected and not multiplied, so that a broken state ends with its life.
        ended = fresh[start, :, None]
        output, (hidden, cell) = memory(inputs[start:end], (hidden.masked_fill(ended, 0.0), cell.masked_fill(ended, 0.0)))
        outputs.append(output)
    return torch.cat(outputs), (hidden.squeeze(0), cell.squeeze(0))
