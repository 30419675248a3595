"""The network of the learning controller: a recurrent trunk, one head for each factor of the action, one for the value.

T steps, N environments, D features, H the size of the recurrent state.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from tolaria.host.randomness import seeded
from tolaria.policy.policy import RecurrentState
from tolaria.seeding import derive_seed

# So small that the first policy is nearly uniform over what is legal (Andrychowicz et al. 2021).
HEAD_GAIN = 0.01


class ActorCritic(nn.Module):
    """Logits of every head and the value of the state. The value knows no action, so it can be a baseline for all of them."""

    def __init__(self, observation_size: int, head_sizes: Sequence[int], hidden_size: int, seed: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        with seeded(derive_seed(seed, "actor_critic")):
            self.trunk = nn.Sequential(nn.Linear(observation_size, hidden_size), nn.LayerNorm(hidden_size), nn.ReLU())
            self.cell = nn.LSTM(hidden_size, hidden_size)
            self.heads = nn.ModuleList(nn.Linear(hidden_size, size) for size in head_sizes)
            self.value = nn.Linear(hidden_size, 1)
            for head in [*self.heads, self.value]:
                nn.init.orthogonal_(head.weight, gain=HEAD_GAIN)
                nn.init.zeros_(head.bias)

    def initial_state(self, num_envs: int) -> RecurrentState:
        """The state every life begins with: zeros, [N, H] twice."""
        return torch.zeros(num_envs, self.hidden_size), torch.zeros(num_envs, self.hidden_size)

    def forward(self, observations: Tensor, state: RecurrentState, fresh: Tensor) -> tuple[list[Tensor], Tensor, RecurrentState]:
        """Logits [T, N, size] of each head, values [T, N] and the state after the last step.

        `observations` is [T, N, D]. Before a step where `fresh` [T, N] is true the state of that environment is zero.
        """
        inputs = self.trunk(observations)
        # Between two steps that begin a life somewhere, the cell runs through without a stop.
        begun = fresh.any(dim=1).tolist()
        cuts = [0, *(t for t in range(1, len(begun)) if begun[t]), len(begun)]
        hidden, cell = state[0].unsqueeze(0), state[1].unsqueeze(0)  # [1, N, H]
        outputs = []
        for start, end in pairwise(cuts):
            # Selected and not multiplied, so that a broken state ends with its life.
            ended = fresh[start, :, None]
            output, (hidden, cell) = self.cell(inputs[start:end], (hidden.masked_fill(ended, 0.0), cell.masked_fill(ended, 0.0)))
            outputs.append(output)
        features = torch.cat(outputs)  # [T, N, H]
        return [head(features) for head in self.heads], self.value(features).squeeze(-1), (hidden.squeeze(0), cell.squeeze(0))
