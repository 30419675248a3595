"""The mathematics of proximal policy optimization, as means over the rows that a mask selects; 0 where it selects none."""

import torch
from torch import Tensor

# exp(20) is large but finite; an exploded ratio is then caught by the KL stop and not by an overflow.
LOG_RATIO_MAX = 20.0


def log_ratios(new_log_probs: Tensor, old_log_probs: Tensor) -> Tensor:
    """How much likelier the new policy makes the joint action; joint, because one reward answers for all its factors."""
    return (new_log_probs - old_log_probs).clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX)


def policy_loss(log_ratio: Tensor, advantages: Tensor, rows: Tensor, clip: float) -> Tensor:
    """The clipped surrogate, negated (Schulman et al. 2017, equation 7)."""
    ratio = log_ratio.exp()
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(1.0 - clip, 1.0 + clip) * advantages)
    return -masked_mean(surrogate, rows)


def value_loss(values: Tensor, returns: Tensor, weights: Tensor) -> Tensor:
    """Half the weighted mean squared error; unclipped, because clipping values did not help (Andrychowicz et al. 2021)."""
    # A row of weight 0 is left out and not multiplied, so that padding can hold anything.
    error = torch.where(weights > 0.0, 0.5 * (values - returns).square() * weights, 0.0)
    return error.sum() / weights.sum().clamp_min(1e-8)


def approximate_kl(log_ratio: Tensor, rows: Tensor) -> Tensor:
    """E[(r - 1) - ln r] with r the ratio: unbiased and never negative (Schulman 2020, "Approximating KL divergence", k3)."""
    return masked_mean(log_ratio.exp() - 1.0 - log_ratio, rows)


def masked_mean(values: Tensor, rows: Tensor) -> Tensor:
    """The mean over the selected rows; 0 when there are none."""
    return torch.where(rows, values, 0.0).sum() / rows.sum().clamp_min(1)
