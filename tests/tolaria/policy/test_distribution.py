import math
from itertools import product

import pytest
import torch
from torch import Tensor

from tolaria.lifecycle.action import HEADS, RELEVANT_HEADS, Op
from tolaria.policy.distribution import EmptyMask, GrowthActions, IndependentHeads, masked_log_softmax

SIZES = (6, 2, 2, 1, 2, 1, 2, 1)
OP_MASK = torch.tensor([True, True, False, True, False, True])
SLOT_MASK = torch.tensor([[True, True], [True, False], [False, False], [True, True], [False, False], [False, True]])
MASK = torch.cat([OP_MASK, SLOT_MASK.flatten()])
GROWTH = GrowthActions(SIZES)


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
    return torch.stack([GROWTH.log_prob(logits, MASK, torch.tensor(action)) for action in legal_actions()])


@pytest.mark.parametrize("seed", range(5))
def test_the_probabilities_of_all_legal_actions_sum_to_one(seed: int) -> None:
    assert float(log_probs_of_all(logits_of(seed)).exp().sum()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_entropy_equals_the_sum_over_all_legal_actions(seed: int) -> None:
    logits = logits_of(seed)
    log_probs = log_probs_of_all(logits).double()
    assert float(GROWTH.entropy(logits, MASK)) == pytest.approx(float(-(log_probs.exp() * log_probs).sum()), abs=1e-5)


def test_a_single_legal_op_has_log_prob_and_entropy_zero() -> None:
    op_mask = torch.tensor([True, False, False, False, False, False])
    mask = torch.cat([op_mask, op_mask.repeat_interleave(2)])
    assert float(GROWTH.entropy(logits_of(0), mask)) == 0.0
    assert float(GROWTH.log_prob(logits_of(0), mask, torch.zeros(8, dtype=torch.int64))) == 0.0
    assert bool(GROWTH.forced(mask))
    assert not bool(GROWTH.forced(MASK))


FLOORED = GrowthActions(SIZES, op_floor=0.01)
# WAIT has been right for so long that nothing else is ever drawn.
STARVED = [torch.tensor([60.0, 0.0, 0.0, 0.0, 0.0, 0.0]), *logits_of(0)[1:]]


def op_probs(growth: GrowthActions, logits: list[Tensor], mask: Tensor = MASK) -> list[float]:
    """The probability of each op: the sum over its legal actions."""
    found = [0.0] * 6
    for action in legal_actions():
        found[action[0]] += float(growth.log_prob(logits, mask, torch.tensor(action)).exp())
    return found


def test_no_legal_op_is_ever_less_probable_than_the_floor() -> None:
    assert op_probs(FLOORED, STARVED) == pytest.approx([0.97, 0.01, 0.0, 0.01, 0.0, 0.01], abs=1e-6)
    assert op_probs(GROWTH, STARVED) == pytest.approx([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_with_a_floor_the_probabilities_sum_to_one_and_the_entropy_is_that_of_all_actions(seed: int) -> None:
    logits = logits_of(seed)
    log_probs = torch.stack([FLOORED.log_prob(logits, MASK, torch.tensor(action)) for action in legal_actions()]).double()
    assert float(log_probs.exp().sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(FLOORED.entropy(logits, MASK)) == pytest.approx(float(-(log_probs.exp() * log_probs).sum()), abs=1e-5)


def test_with_a_floor_starved_ops_are_drawn_as_often_as_it_says() -> None:
    noise = torch.empty(20_000, sum(SIZES)).exponential_(generator=torch.Generator().manual_seed(1))
    logits = [head.expand(20_000, -1) for head in STARVED]
    drawn = FLOORED.sample(logits, MASK.expand(20_000, -1), noise)[:, 0].bincount(minlength=6) / 20_000
    assert drawn.tolist() == pytest.approx([0.97, 0.01, 0.0, 0.01, 0.0, 0.01], abs=0.003)
    assert GROWTH.sample(logits, MASK.expand(20_000, -1), noise)[:, 0].tolist() == [0] * 20_000


def test_with_a_floor_a_single_legal_op_is_certain() -> None:
    op_mask = torch.tensor([True, False, False, False, False, False])
    mask = torch.cat([op_mask, op_mask.repeat_interleave(2)])
    assert float(FLOORED.entropy(logits_of(0), mask)) == 0.0
    assert float(FLOORED.log_prob(logits_of(0), mask, torch.zeros(8, dtype=torch.int64))) == 0.0


def test_with_a_floor_a_starved_op_still_has_a_finite_gradient() -> None:
    logits = [head.clone().requires_grad_() for head in STARVED]
    (FLOORED.log_prob(logits, MASK, torch.tensor([5, 1, 0, 0, 0, 0, 0, 0])) + FLOORED.entropy(logits, MASK)).backward()
    assert all(head.grad is None or bool(head.grad.isfinite().all()) for head in logits)


def test_heads_that_do_not_matter_do_not_count() -> None:
    plain = torch.tensor([5, 1, 0, 0, 0, 0, 0, 0])
    other = torch.tensor([5, 1, 1, 0, 1, 0, 0, 0])
    logits = logits_of(1)
    assert torch.equal(GROWTH.log_prob(logits, MASK, plain), GROWTH.log_prob(logits, MASK, other))


def test_heads_that_do_not_matter_get_no_gradient() -> None:
    logits = [head.requires_grad_() for head in logits_of(1)]
    GROWTH.log_prob(logits, MASK, torch.tensor([3, 1, 0, 0, 0, 0, 0, 0])).backward()
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
        GROWTH.entropy(logits_of(0), torch.cat([OP_MASK, slot_mask.flatten()]))


def test_samples_are_legal_and_as_frequent_as_likely() -> None:
    logits = [head.expand(20_000, -1) for head in logits_of(2)]
    generator = torch.Generator().manual_seed(0)
    noise = torch.empty(20_000, sum(SIZES)).exponential_(generator=generator)
    drawn = GROWTH.sample(logits, MASK.expand(20_000, -1), noise)
    counts = dict.fromkeys(legal_actions(), 0)
    for row in drawn.tolist():
        counts[tuple(row)] += 1
    for action, log_prob in zip(legal_actions(), log_probs_of_all(logits_of(2)).tolist(), strict=True):
        assert counts[action] / 20_000 == pytest.approx(math.exp(log_prob), abs=0.015)


HEADS_MASK = torch.tensor([True, False, True, True, True, True, False, False])
HEADS_OF = IndependentHeads((3, 2, 3), masked=True)


def independent(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, generator=generator) * 2.0 for size in HEADS_OF.sizes]


def all_of_them() -> Tensor:
    """Every action of the three heads whose choices are legal."""
    legal = [part.nonzero().flatten().tolist() for part in HEADS_MASK.split(HEADS_OF.sizes)]
    return torch.tensor(list(product(*legal)))


@pytest.mark.parametrize("seed", range(3))
def test_independent_heads_have_probabilities_that_sum_to_one_and_their_entropy(seed: int) -> None:
    actions, logits = all_of_them(), independent(seed)
    assert len(actions) == 4
    log_probs = HEADS_OF.log_prob([head.expand(4, -1) for head in logits], HEADS_MASK.expand(4, -1), actions).double()
    assert float(log_probs.exp().sum()) == pytest.approx(1.0, abs=1e-6)
    assert float(HEADS_OF.entropy(logits, HEADS_MASK)) == pytest.approx(float(-(log_probs.exp() * log_probs).sum()), abs=1e-5)


def test_independent_heads_never_draw_what_is_illegal_and_draw_the_likeliest_without_noise() -> None:
    logits = [head.expand(5_000, -1) for head in independent(1)]
    noise = torch.empty(5_000, 8).exponential_(generator=torch.Generator().manual_seed(0))
    drawn = HEADS_OF.sample(logits, HEADS_MASK.expand(5_000, -1), noise)
    assert {tuple(row) for row in drawn.tolist()} == {tuple(row) for row in all_of_them().tolist()}
    best = HEADS_OF.sample([torch.tensor([1.0, 9.0, 2.0]), torch.zeros(2), torch.zeros(3)], HEADS_MASK, torch.ones(8))
    assert best.tolist() == [2, 0, 0]


def test_independent_heads_are_forced_where_each_has_one_choice() -> None:
    one = torch.tensor([True, False, False, False, True, True, False, False])
    assert bool(HEADS_OF.forced(one))
    assert not bool(HEADS_OF.forced(HEADS_MASK))


def test_heads_without_a_mask_are_a_plain_softmax() -> None:
    plain = IndependentHeads((4,), masked=False)
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    nothing, indices = torch.ones(7, 0, dtype=torch.bool), torch.arange(7)[:, None] % 4
    wanted = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(plain.log_prob([logits], nothing, indices), wanted.log_prob(indices[:, 0]))
    torch.testing.assert_close(plain.entropy([logits], nothing), wanted.entropy())
    assert not bool(plain.forced(nothing).any())
