"""What a seed in TRAINING learns, while nothing of it reaches the host.

`shadow` is the task's own loss with the seed at alpha 1, through the rest of the host held fixed: the truth, at the price of
a second pass through the tail. `regression` wants the change that the host's own loss asks for where the seed stands, a step
against the gradient that the host computes anyway: cheaper, the more so the earlier the slot.

Both have a minimum. Following the host's gradient straight through has none: the seed grows without end.
"""

import torch

# A seed that was above its share is pulled a little below, or it would stay at the very edge, where it may not blend.
COMFORTABLE = 0.9


def regression_loss(change: torch.Tensor, gradient: torch.Tensor, reach: float) -> torch.Tensor:
    """Half the squared distance [] between what a seed would change and a step of length `reach` against each sample's gradient.

    `gradient` is that of the mean loss at the features [B, ...], so it is weighed back by the number of samples.
    """
    wanted = -reach * len(gradient) * gradient
    return 0.5 * (change - wanted).square().flatten(1).sum(dim=1).mean()


def excess(change: torch.Tensor, features: torch.Tensor, magnitude_max: float) -> torch.Tensor:
    """How far a seed's change [B, ...] is above nine tenths of its share of the features, in such shares; 0 where it is below."""
    return torch.relu(change.norm() / features.norm() / magnitude_max - COMFORTABLE)


def regression_losses(changes: torch.Tensor, gradients: torch.Tensor, reach: float) -> torch.Tensor:
    """`regression_loss` of each host of a stack [G], from changes and gradients [G, B, C]."""
    wanted = -reach * gradients.shape[1] * gradients
    return 0.5 * (changes - wanted).square().sum(dim=2).mean(dim=1)


def excesses(changes: torch.Tensor, features: torch.Tensor, magnitude_max: float) -> torch.Tensor:
    """`excess` of each host of a stack [G], from changes and features [G, B, C]."""
    shares = changes.flatten(1).norm(dim=1) / features.flatten(1).norm(dim=1)
    return torch.relu(shares / magnitude_max - COMFORTABLE)
