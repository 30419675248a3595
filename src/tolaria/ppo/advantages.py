"""Generalized advantage estimation (Schulman et al. 2016, "High-dimensional continuous control using GAE").

    delta_t = r_t + gamma V_{t+1} - V_t        A_t = delta_t + gamma lambda A_{t+1}

What counts is where this recursion stops. A *terminated* row expects nothing afterwards: V_{t+1} = 0. A *cut* row (a time
limit, or the end of the rollout) would have gone on: V_{t+1} is the value of the state that followed it, which is not the
state of the next row. In both cases A_{t+1} belongs to another life and does not flow back.

T steps, N environments; all tensors are [T, N].
"""

import torch
from torch import Tensor

# Below this spread, advantages are noise that must not be blown up.
SPREAD_MIN = 0.1


def gae(
    rewards: Tensor, values: Tensor, terminated: Tensor, cut: Tensor, bootstraps: Tensor, gamma: float, gae_lambda: float
) -> Tensor:  # fmt: skip
    """Advantages [T, N]; `bootstraps` is read only where `cut` is true and `terminated` is not."""
    following = torch.cat([values[1:], torch.zeros_like(values[:1])])
    expected = torch.where(cut, bootstraps, following).masked_fill(terminated, 0.0)
    deltas = rewards + gamma * expected - values
    ends = terminated | cut
    advantages = torch.zeros_like(rewards)
    trace = rewards.new_zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        # Selected and not multiplied, so that a broken row stays in its own segment.
        trace = deltas[t] + gamma * gae_lambda * trace.masked_fill(ends[t], 0.0)
        advantages[t] = trace
    return advantages


def normalized(advantages: Tensor, actor: Tensor, penalized: Tensor, spread_min: float = 0.0) -> Tensor:
    """Advantages on a common scale, over the rows where something was decided; zero elsewhere.

    `spread_min` is the spread that deaths of earlier rollouts made: by its own spread alone, a rollout in which a bait went
    unpunished would praise it as loudly as another one blames it for a death.
    """
    centred = _centred(advantages, actor, penalized)
    return centred / max(_spread(centred, actor), spread_min, SPREAD_MIN)


def spread(advantages: Tensor, actor: Tensor, penalized: Tensor) -> float:
    """The root mean square of the centred advantages, over the rows where something was decided; 0 where nothing was."""
    return _spread(_centred(advantages, actor, penalized), actor)


def _centred(advantages: Tensor, actor: Tensor, penalized: Tensor) -> Tensor:
    # The centre is the mean of the rows without a penalty: a mean over all would make a death nearly neutral in a rollout of
    # deaths. A single row is its own centre in no case, so it keeps its sign.
    ordinary = advantages[actor & ~penalized]
    centre = ordinary.mean() if len(ordinary) > 1 else advantages.new_zeros(())
    return torch.where(actor, advantages - centre, 0.0)


def _spread(centred: Tensor, actor: Tensor) -> float:
    return float((centred.square().sum() / actor.sum().clamp_min(1)).sqrt())
