"""The factored distribution over actions: op first, then the slot given the op, then the factors that the op uses.

Only the heads that matter for the executed op enter log-probability and entropy (`RELEVANT_HEADS`); the chain rule makes
both exact. Everything is computed in float32 whatever the network's precision, so that acting and learning agree.
`logits` holds one tensor [..., size] for each head, `op_mask` is [..., 6], `slot_mask` [..., 6, S], `indices` [..., 8].
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tolaria.errors import TolariaError
from tolaria.lifecycle.action import HEADS, RELEVANT_HEADS, Op

# Finite in half precision, and its exponential is exactly zero in float32.
MASKED_LOGIT = -1e4
# [6 ops, 8 heads]
RELEVANT = torch.tensor([[head in RELEVANT_HEADS[op] for head in HEADS] for op in Op])


class EmptyMask(TolariaError):
    """Nothing was legal. A softmax would turn that into a uniform draw of illegal actions, so it is refused."""


def masked_log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities over what is legal; what is not has probability 0 and a finite logarithm."""
    if not bool(mask.any(-1).all()):
        raise EmptyMask(f"a mask of shape {tuple(mask.shape)} has a row without a legal choice")
    logits = logits.float()
    # Measured from the best legal logit, so that no legal one can sink below the masked ones.
    best = logits.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True).detach()
    return (logits - best).masked_fill(~mask, MASKED_LOGIT).log_softmax(-1)


def joint_log_prob(logits: Sequence[Tensor], op_mask: Tensor, slot_mask: Tensor, indices: Tensor) -> Tensor:
    """The log-probability [...] of whole actions: the sum over the heads that matter for their op."""
    op = indices[..., 0]
    parts = [masked_log_softmax(logits[0], op_mask), masked_log_softmax(logits[1], _rows_of(slot_mask, op))]
    parts += [head.float().log_softmax(-1) for head in logits[2:]]
    taken = [part.gather(-1, indices[..., head, None]).squeeze(-1) for head, part in enumerate(parts)]
    return torch.where(RELEVANT[op], torch.stack(taken, dim=-1), 0.0).sum(-1)


def entropy(logits: Sequence[Tensor], op_mask: Tensor, slot_mask: Tensor) -> Tensor:
    """The exact entropy [...] of the whole action: H(op) + sum over ops of p(op) times the entropy of what the op uses."""
    op_log_probs = masked_log_softmax(logits[0], op_mask)
    # The rows of illegal ops may be empty; opened they are finite, and they weigh nothing.
    rows = slot_mask | ~op_mask.unsqueeze(-1)
    slot = _entropy_of(masked_log_softmax(logits[1].unsqueeze(-2).expand(rows.shape), rows))  # [..., 6]
    rest = torch.stack([_entropy_of(head.float().log_softmax(-1)) for head in logits[2:]], dim=-1)  # [..., 6 heads]
    used = RELEVANT.float()
    by_op = slot * used[:, 1] + rest @ used[:, 2:].T
    return _entropy_of(op_log_probs) + (op_log_probs.exp() * by_op).sum(-1)


def sample(logits: Sequence[Tensor], op_mask: Tensor, slot_mask: Tensor, noise: Tensor) -> Tensor:
    """Actions [..., 8] drawn with `noise` [..., sum of sizes] from the standard exponential distribution.

    The largest p / e has probability p (the exponential race behind Gumbel's trick). A decision uses the same number of
    draws whatever is decided, so the streams never shift. Heads that do not matter for the op get index 0.
    """
    races = noise.split([head.shape[-1] for head in logits], dim=-1)
    op = (masked_log_softmax(logits[0], op_mask).exp() / races[0]).argmax(-1)
    slot = (masked_log_softmax(logits[1], _rows_of(slot_mask, op)).exp() / races[1]).argmax(-1)
    rest = [(head.float().softmax(-1) / race).argmax(-1) for head, race in zip(logits[2:], races[2:], strict=True)]
    return torch.where(RELEVANT[op], torch.stack([op, slot, *rest], dim=-1), 0)


def _rows_of(slot_mask: Tensor, op: Tensor) -> Tensor:
    """The slot mask [..., S] that belongs to the chosen op."""
    chosen = op[..., None, None].expand(*op.shape, 1, slot_mask.shape[-1])
    return slot_mask.gather(-2, chosen).squeeze(-2)


def _entropy_of(log_probs: Tensor) -> Tensor:
    return -(log_probs.exp() * log_probs).sum(-1)
