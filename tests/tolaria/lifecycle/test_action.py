from dataclasses import fields

import pytest

from tolaria.lifecycle.action import ALPHA_SPEEDS, ALPHA_TARGETS, HEADS, RELEVANT_HEADS, TEMPOS, WAIT, Action, Op
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend


def test_the_heads_are_the_factors_of_an_action_in_order() -> None:
    assert tuple(field.name for field in fields(Action)) == HEADS


def test_doing_nothing_is_the_default() -> None:
    assert Action() == WAIT
    assert WAIT.op is Op.WAIT


def test_the_defaults_are_an_added_blend_of_five_steps_to_full_strength() -> None:
    assert Action() == Action(Op.WAIT, "", "", Blend.ADD, 5, 1.0, 0, Curve.LINEAR)


def test_an_op_is_written_as_its_word() -> None:
    assert [op.value for op in Op] == ["wait", "germinate", "advance", "retarget", "fossilize", "prune"]


def test_a_factor_has_these_choices() -> None:
    assert TEMPOS == (3, 5, 8)
    assert ALPHA_TARGETS == (0.5, 0.7, 1.0)
    assert ALPHA_SPEEDS == (0, 3, 5, 8)


@pytest.mark.parametrize("op", Op)
def test_every_op_has_relevant_heads_and_the_op_is_one(op: Op) -> None:
    assert "op" in RELEVANT_HEADS[op]
    assert RELEVANT_HEADS[op] <= set(HEADS)


def test_waiting_needs_no_other_head() -> None:
    assert RELEVANT_HEADS[Op.WAIT] == {"op"}


@pytest.mark.parametrize("op", [Op.ADVANCE, Op.FOSSILIZE])
def test_an_op_without_a_choice_of_its_own_needs_a_slot_alone(op: Op) -> None:
    assert RELEVANT_HEADS[op] == {"op", "slot"}


def test_germinating_needs_all_but_the_speed_of_a_later_blend() -> None:
    assert RELEVANT_HEADS[Op.GERMINATE] == {"op", "slot", "blueprint", "blend", "tempo", "alpha_target", "alpha_curve"}


def test_retargeting_needs_the_later_blend_alone() -> None:
    assert RELEVANT_HEADS[Op.RETARGET] == {"op", "slot", "alpha_target", "alpha_speed", "alpha_curve"}


def test_pruning_needs_the_way_out() -> None:
    assert RELEVANT_HEADS[Op.PRUNE] == {"op", "slot", "alpha_speed", "alpha_curve"}


def test_the_defaults_of_an_action_can_be_chosen() -> None:
    assert WAIT.tempo in TEMPOS
    assert WAIT.alpha_target in ALPHA_TARGETS
    assert WAIT.alpha_speed in ALPHA_SPEEDS
