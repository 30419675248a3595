import math
from itertools import product

import pytest
import torch
from torch import Tensor

from tolaria.lifecycle.action import HEADS, RELEVANT_HEADS, Op
from tolaria.policy.distribution import EmptyMask, entropy, joint_log_prob, masked_log_softmax, sample

SIZES = (6, 2, 2, 1, 2, 1, 2, 1)
OP_MASK = torch.tensor([True, True, False, True, False, True])
SLOT_MASK = torch.tensor([[True, True], [True, False], [False, False], [True, True], [False, False], [False, True]])


def logits_of(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, generator=generator) * 2.0 for size in SIZES]


def legal_actions() -> list[tuple[int, ...]]:
    """Every legal action of the small space, each once: irrelevant heads at 0."""
    found = set()
    for indices in product(*(range(size) for size in SIZES)):
        op = list(Op)[indices[0]]
        if OP_MASK[indices[0]] and (op is Op.WAIT or SLOT_MASK[indices[0], indices[1]]):
            found.add(tuple(index if head in RELEVANT_HEADS[op] else 0 for head, index in zip(HEADS, indices, strict=True)))
    return sorted(found)


def log_probs_of_all(logits: list[Tensor]) -> Tensor:
    return torch.stack([joint_log_prob(logits, OP_MASK, SLOT_MASK, torch.tensor(action)) for action in legal_actions()])


@pytest.mark.parametrize("seed", range(5))
def test_the_probabilities_of_all_legal_actions_sum_to_one(seed: int) -> None:
    assert float(log_probs_of_all(logits_of(seed)).exp().sum()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_entropy_equals_the_sum_over_all_legal_actions(seed: int) -> None:
    logits = logits_of(seed)
    log_probs = log_probs_of_all(logits).double()
    assert float(entropy(logits, OP_MASK, SLOT_MASK)) == pytest.approx(float(-(log_probs.exp() * log_probs).sum()), abs=1e-5)


def test_a_single_legal_op_has_log_prob_and_entropy_zero() -> None:
    op_mask = torch.tensor([True, False, False, False, False, False])
    slot_mask = op_mask[:, None].expand(6, 2)
    assert float(entropy(logits_of(0), op_mask, slot_mask)) == 0.0
    assert float(joint_log_prob(logits_of(0), op_mask, slot_mask, torch.zeros(8, dtype=torch.int64))) == 0.0


def test_heads_that_do_not_matter_do_not_count() -> None:
    plain = torch.tensor([5, 1, 0, 0, 0, 0, 0, 0])
    other = torch.tensor([5, 1, 1, 0, 1, 0, 0, 0])
    logits = logits_of(1)
    assert torch.equal(joint_log_prob(logits, OP_MASK, SLOT_MASK, plain), joint_log_prob(logits, OP_MASK, SLOT_MASK, other))


def test_heads_that_do_not_matter_get_no_gradient() -> None:
    logits = [head.requires_grad_() for head in logits_of(1)]
    joint_log_prob(logits, OP_MASK, SLOT_MASK, torch.tensor([3, 1, 0, 0, 0, 0, 0, 0])).backward()
    moved = {head for head, tensor in zip(HEADS, logits, strict=True) if tensor.grad is not None and bool(tensor.grad.abs().sum() > 0.0)}
    # Targets and curves have one choice here, and a certain choice has no gradient.
    assert moved == {"op", "slot", "alpha_speed"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_masked_choices_have_probability_zero_in_every_precision(dtype: torch.dtype) -> None:
    log_probs = masked_log_softmax(torch.tensor([3.0, -2e4, 1.0], dtype=dtype), torch.tensor([False, True, True]))
    assert bool(log_probs.isfinite().all())
    assert log_probs.exp()[0] == 0.0
    assert log_probs.exp().sum() == pytest.approx(1.0)


def test_a_legal_choice_far_below_the_mask_is_still_the_only_one() -> None:
    log_probs = masked_log_softmax(torch.tensor([0.0, -1e6]), torch.tensor([False, True]))
    assert log_probs[1] == 0.0


def test_an_empty_mask_raises() -> None:
    with pytest.raises(EmptyMask):
        masked_log_softmax(torch.zeros(2, 3), torch.tensor([[True, True, True], [False, False, False]]))


def test_a_legal_op_without_a_legal_slot_raises() -> None:
    slot_mask = SLOT_MASK.clone()
    slot_mask[3] = False
    with pytest.raises(EmptyMask):
        entropy(logits_of(0), OP_MASK, slot_mask)


def test_samples_are_legal_and_as_frequent_as_likely() -> None:
    logits = [head.expand(20_000, -1) for head in logits_of(2)]
    generator = torch.Generator().manual_seed(0)
    noise = torch.empty(20_000, sum(SIZES)).exponential_(generator=generator)
    drawn = sample(logits, OP_MASK.expand(20_000, -1), SLOT_MASK.expand(20_000, -1, -1), noise)
    counts = dict.fromkeys(legal_actions(), 0)
    for row in drawn.tolist():
        counts[tuple(row)] += 1
    for action, log_prob in zip(legal_actions(), log_probs_of_all(logits_of(2)).tolist(), strict=True):
        assert counts[action] / 20_000 == pytest.approx(math.exp(log_prob), abs=0.015)
