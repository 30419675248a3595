"""What the logits of a network mean: distributions over actions of several heads, with masks of what is legal.

`GrowthActions` is factored: op first, then the slot given the op, then the factors that the op uses. Only the heads that matter
for the executed op enter log-probability and entropy (`RELEVANT_HEADS`). `IndependentHeads` choose each for itself.
The chain rule makes both exact. Everything is computed in float32 whatever the network's precision, so that acting and learning agree.
`logits` holds one tensor [..., size] for each head, `mask` is [..., M], `indices` [..., K].
"""

from collections.abc import Sequence
from typing import Protocol

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


class Distribution(Protocol):
    """How logits and a mask become actions. It has no state of its own."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many choices each of the K heads has."""
        ...

    @property
    def mask_size(self) -> int:
        """M, the length of a mask; 0 where everything is always legal."""
        ...

    def log_prob(self, logits: Sequence[Tensor], mask: Tensor, indices: Tensor) -> Tensor:
        """The log-probability [...] of whole actions."""
        ...

    def entropy(self, logits: Sequence[Tensor], mask: Tensor) -> Tensor:
        """The exact entropy [...] of the whole action."""
        ...

    def sample(self, logits: Sequence[Tensor], mask: Tensor, noise: Tensor) -> Tensor:
        """Actions [..., K] drawn with `noise` [..., sum of sizes] from the standard exponential distribution.

        The largest p / e has probability p (the exponential race behind Gumbel's trick). A decision uses the same number of
        draws whatever is decided, so the streams never shift. Ones in the place of noise give the likeliest action.
        """
        ...

    def forced(self, mask: Tensor) -> Tensor:
        """Where [...] only one action is legal, so that nothing is decided."""
        ...


class GrowthActions:
    """The decision of `ActionSpace`. A mask is the ops [6] and behind them the slots of each op [6, S], row by row.

    No legal op is ever less probable than `op_floor`, so that one which was rarely right can still be tried, and learnt from.
    """

    def __init__(self, sizes: Sequence[int], op_floor: float = 0.0) -> None:
        self.sizes = tuple(sizes)
        self.op_floor = op_floor
        self._ops, self._slots = self.sizes[:2]
        self.mask_size = self._ops * (1 + self._slots)

    def log_prob(self, logits: Sequence[Tensor], mask: Tensor, indices: Tensor) -> Tensor:
        """The sum over the heads that matter for the op."""
        op_mask, slot_mask = self._masks(mask)
        op = indices[..., 0]
        parts = [self._op_log_probs(logits[0], op_mask), masked_log_softmax(logits[1], _rows_of(slot_mask, op))]
        parts += [head.float().log_softmax(-1) for head in logits[2:]]
        taken = [part.gather(-1, indices[..., head, None]).squeeze(-1) for head, part in enumerate(parts)]
        return torch.where(RELEVANT[op], torch.stack(taken, dim=-1), 0.0).sum(-1)

    def entropy(self, logits: Sequence[Tensor], mask: Tensor) -> Tensor:
        """H(op) + sum over ops of p(op) times the entropy of what the op uses."""
        op_mask, slot_mask = self._masks(mask)
        op_log_probs = self._op_log_probs(logits[0], op_mask)
        # The rows of illegal ops may be empty; opened they are finite, and they weigh nothing.
        rows = slot_mask | ~op_mask.unsqueeze(-1)
        slot = _entropy_of(masked_log_softmax(logits[1].unsqueeze(-2).expand(rows.shape), rows))  # [..., 6]
        rest = torch.stack([_entropy_of(head.float().log_softmax(-1)) for head in logits[2:]], dim=-1)  # [..., 6 heads]
        used = RELEVANT.float()
        by_op = slot * used[:, 1] + rest @ used[:, 2:].T
        return _entropy_of(op_log_probs) + (op_log_probs.exp() * by_op).sum(-1)

    def sample(self, logits: Sequence[Tensor], mask: Tensor, noise: Tensor) -> Tensor:
        """Heads that do not matter for the op get index 0."""
        op_mask, slot_mask = self._masks(mask)
        races = noise.split(self.sizes, dim=-1)
        op = (self._op_log_probs(logits[0], op_mask).exp() / races[0]).argmax(-1)
        slot = (masked_log_softmax(logits[1], _rows_of(slot_mask, op)).exp() / races[1]).argmax(-1)
        rest = [(head.float().softmax(-1) / race).argmax(-1) for head, race in zip(logits[2:], races[2:], strict=True)]
        return torch.where(RELEVANT[op], torch.stack([op, slot, *rest], dim=-1), 0)

    def forced(self, mask: Tensor) -> Tensor:
        """Where WAIT is the only legal op."""
        return mask[..., : self._ops].sum(-1) == 1

    def _op_log_probs(self, logits: Tensor, op_mask: Tensor) -> Tensor:
        log_probs = masked_log_softmax(logits, op_mask)
        return floored(log_probs, op_mask, self.op_floor) if self.op_floor else log_probs

    def _masks(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The mask of ops [..., 6], and that of slots [..., 6, S]."""
        return mask[..., : self._ops], mask[..., self._ops :].unflatten(-1, (self._ops, self._slots))


class IndependentHeads:
    """Heads that know nothing of each other, as in Discrete and MultiDiscrete spaces.

    A mask is the choices of all heads, one head behind the other; without `masked` there is none.
    """

    def __init__(self, sizes: Sequence[int], masked: bool) -> None:
        self.sizes = tuple(sizes)
        self.mask_size = sum(self.sizes) if masked else 0

    def log_prob(self, logits: Sequence[Tensor], mask: Tensor, indices: Tensor) -> Tensor:
        """The sum over all heads."""
        parts = self._log_probs(logits, mask)
        if len(parts) == 1:
            return parts[0].gather(-1, indices).squeeze(-1)
        return torch.cat([part.gather(-1, indices[..., head, None]) for head, part in enumerate(parts)], dim=-1).sum(-1)

    def entropy(self, logits: Sequence[Tensor], mask: Tensor) -> Tensor:
        """The sum over all heads."""
        first, *rest = (_entropy_of(part) for part in self._log_probs(logits, mask))
        return sum(rest, start=first)

    def sample(self, logits: Sequence[Tensor], mask: Tensor, noise: Tensor) -> Tensor:
        """Every head runs its own race."""
        races = noise.split(self.sizes, dim=-1)
        drawn = [(part.exp() / race).argmax(-1) for part, race in zip(self._log_probs(logits, mask), races, strict=True)]
        return torch.stack(drawn, dim=-1)

    def forced(self, mask: Tensor) -> Tensor:
        """Where every head has one legal choice."""
        if not self.mask_size:
            return torch.zeros(mask.shape[:-1], dtype=torch.bool)
        return torch.stack([part.sum(-1) == 1 for part in mask.split(self.sizes, dim=-1)], dim=-1).all(-1)

    def _log_probs(self, logits: Sequence[Tensor], mask: Tensor) -> list[Tensor]:
        if not self.mask_size:
            return [head.float().log_softmax(-1) for head in logits]
        return [masked_log_softmax(head, part) for head, part in zip(logits, mask.split(self.sizes, dim=-1), strict=True)]


def masked_log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities over what is legal; what is not has probability 0 and a finite logarithm."""
    if not bool(mask.any(-1).all()):
        raise EmptyMask(f"a mask of shape {tuple(mask.shape)} has a row without a legal choice")
    logits = logits.float()
    # Measured from the best legal logit, so that no legal one can sink below the masked ones.
    best = logits.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True).detach()
    return (logits - best).masked_fill(~mask, MASKED_LOGIT).log_softmax(-1)


def floored(log_probs: Tensor, mask: Tensor, floor: float) -> Tensor:
    """The same, with so much probability for every legal choice before the rest is shared out; a single one stays certain."""
    legal = mask.sum(-1, keepdim=True)
    mixed = (1.0 - legal * floor) * log_probs.exp() + floor
    return torch.where(mask & (legal > 1), mixed.log(), log_probs)


def _rows_of(slot_mask: Tensor, op: Tensor) -> Tensor:
    """The slot mask [..., S] that belongs to the chosen op."""
    chosen = op[..., None, None].expand(*op.shape, 1, slot_mask.shape[-1])
    return slot_mask.gather(-2, chosen).squeeze(-2)


def _entropy_of(log_probs: Tensor) -> Tensor:
    return -(log_probs.exp() * log_probs).sum(-1)
