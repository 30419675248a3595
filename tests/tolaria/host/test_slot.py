import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from tolaria.host.slot import Slot
from tolaria.lifecycle.alpha import Ramp
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import OCCUPIED, Stage

HALF = Ramp(0.5, 0.5)


class Doubling(nn.Module):
    """A residual equal to its input, with something that learns and something that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return self.scale * h


def slot_in(stage: Stage, ramp: Ramp = HALF, blend: Blend = Blend.ADD) -> Slot:
    slot = Slot("s0", 2)
    slot.attach(Doubling(), SlotState("s0", stage, "doubling", blend, generation=1, ramp=ramp))
    return slot


def features() -> torch.Tensor:
    return torch.tensor([[1.0, -3.0]], requires_grad=True)


@pytest.mark.parametrize("stage", [Stage.GERMINATED, Stage.TRAINING])
def test_the_host_tensor_itself_is_returned_before_blending(stage: Stage) -> None:
    h = features()
    assert slot_in(stage)(h) is h


@pytest.mark.parametrize("stage", sorted(OCCUPIED))
def test_the_host_tensor_itself_is_returned_at_alpha_zero(stage: Stage) -> None:
    h = features()
    assert slot_in(stage, Ramp())(h) is h


def test_an_empty_slot_returns_the_host_tensor_itself() -> None:
    h = features()
    assert Slot("s0", 2)(h) is h


@pytest.mark.parametrize("stage", [Stage.BLENDING, Stage.HOLDING, Stage.FOSSILIZED])
def test_a_mixed_seed_contributes_by_alpha(stage: Stage) -> None:
    assert slot_in(stage)(features()).tolist() == [[1.5, -4.5]]


def test_the_alpha_used_is_the_ramps_at_every_step() -> None:
    slot = slot_in(Stage.BLENDING, Ramp(0.0, 1.0, 4))
    seen = []
    for _ in range(5):
        seen.append(slot(torch.ones(1, 2))[0, 0].item())
        slot.state = slot.state.ticked()
    assert seen == [1.0, 1.25, 1.5, 1.75, 2.0]


def test_features_are_kept_for_a_seed_in_training_only() -> None:
    h = features()
    slot = slot_in(Stage.TRAINING)
    slot(h)
    assert slot.features is not None
    assert slot.features.tolist() == [[1.0, -3.0]]
    slot.state = replace(slot.state, stage=Stage.BLENDING)
    slot(h)
    assert slot.features is None


@pytest.mark.parametrize("learning_before", [True, False])
def test_a_slot_hears_the_gradient_at_its_features_also_where_nothing_before_it_learns(learning_before: bool) -> None:
    slot = slot_in(Stage.TRAINING)
    slot.hears_gradients = True
    passed = slot(features().requires_grad_(learning_before) * 1.0)
    assert passed.tolist() == [[1.0, -3.0]]
    # Whatever comes next may work in place.
    passed.mul_(2.0).sum().backward()
    assert slot.gradient is not None
    assert slot.gradient.tolist() == [[2.0, 2.0]]


def test_features_are_not_kept_in_eval_mode() -> None:
    slot = slot_in(Stage.TRAINING).eval()
    slot(features())
    assert slot.features is None


def test_features_are_a_detached_contiguous_copy() -> None:
    h = torch.ones(2, 3, 4, 4, requires_grad=True).contiguous(memory_format=torch.channels_last)
    slot = slot_in(Stage.TRAINING)
    slot(h)
    assert slot.features is not None
    assert slot.features.is_contiguous()
    assert not slot.features.requires_grad
    assert slot.features.data_ptr() != h.data_ptr()


def test_a_fossil_is_frozen_when_attached() -> None:
    slot = slot_in(Stage.FOSSILIZED)
    assert slot.seed is not None
    assert [parameter.requires_grad for parameter in slot.seed.parameters()] == [False]


def test_a_fossil_stays_in_eval_mode_with_all_its_children() -> None:
    slot = slot_in(Stage.FOSSILIZED)
    slot.train()
    assert slot.seed is not None
    assert slot.training
    assert [module.training for module in slot.seed.modules()] == [False, False]


def test_freezing_drops_gradients() -> None:
    slot = slot_in(Stage.HOLDING)
    slot(features()).sum().backward()
    assert slot.seed is not None
    assert [parameter.grad is None for parameter in slot.seed.parameters()] == [False]
    slot.state = slot.state.fossilized()
    slot.freeze()
    assert [parameter.grad is None for parameter in slot.seed.parameters()] == [True]


def test_a_fossil_that_is_put_back_to_holding_thaws() -> None:
    slot = slot_in(Stage.FOSSILIZED)
    assert slot.seed is not None
    slot.attach(slot.seed, replace(slot.state, stage=Stage.HOLDING))
    assert [parameter.requires_grad for parameter in slot.seed.parameters()] == [True]
    assert [module.training for module in slot.seed.modules()] == [True, True]


def test_a_seed_in_a_slot_in_eval_mode_is_in_eval_mode() -> None:
    slot = Slot("s0", 2).eval()
    slot.attach(Doubling(), SlotState("s0", Stage.GERMINATED, "doubling", generation=1))
    assert slot.seed is not None
    assert not slot.seed.training


def test_a_detached_seed_leaves_nothing_behind() -> None:
    slot = slot_in(Stage.TRAINING)
    slot(features())
    slot.detach_seed(slot.state.pruned())
    assert slot.seed is None
    assert slot.features is None
    assert slot.state.stage is Stage.PRUNED
    assert list(slot.parameters()) == []


def test_a_state_of_another_slot_or_without_a_seed_is_not_attached() -> None:
    slot = Slot("s0", 2)
    with pytest.raises(AssertionError):
        slot.attach(Doubling(), SlotState("s1", Stage.GERMINATED, "doubling"))
    with pytest.raises(AssertionError):
        slot.attach(Doubling(), SlotState("s0"))
    assert slot.seed is None


def test_magnitude_is_the_change_at_alpha_one_over_the_features() -> None:
    slot = slot_in(Stage.TRAINING)
    assert slot.magnitude(torch.tensor([[3.0, 4.0]])) == 1.0
    assert slot.seed is not None
    with torch.no_grad():
        next(slot.seed.parameters()).fill_(0.5)
    assert slot.magnitude(torch.tensor([[3.0, 4.0]])) == 0.5
    assert [module.training for module in slot.seed.modules()] == [True, True]


def test_magnitude_of_a_nan_seed_is_nan() -> None:
    slot = slot_in(Stage.TRAINING)
    assert slot.seed is not None
    with torch.no_grad():
        next(slot.seed.parameters()).fill_(float("nan"))
    assert math.isnan(slot.magnitude(torch.ones(1, 2)))
