from dataclasses import fields

import pytest

from tolaria.lifecycle.action import ALPHA_SPEEDS, ALPHA_TARGETS, HEADS, RELEVANT_HEADS, TEMPOS, WAIT, Action, Op


def test_the_heads_are_the_factors_of_an_action_in_order() -> None:
    assert tuple(field.name for field in fields(Action)) == HEADS


def test_doing_nothing_is_the_default() -> None:
    assert Action() == WAIT
    assert WAIT.op is Op.WAIT


@pytest.mark.parametrize("op", Op)
def test_every_op_has_relevant_heads_and_the_op_is_one(op: Op) -> None:
    assert "op" in RELEVANT_HEADS[op]
    assert RELEVANT_HEADS[op] <= set(HEADS)


def test_waiting_needs_no_other_head() -> None:
    assert RELEVANT_HEADS[Op.WAIT] == {"op"}


@pytest.mark.parametrize("op", [op for op in Op if op is not Op.WAIT])
def test_every_other_op_needs_a_slot(op: Op) -> None:
    assert "slot" in RELEVANT_HEADS[op]


def test_the_defaults_of_an_action_can_be_chosen() -> None:
    assert WAIT.tempo in TEMPOS
    assert WAIT.alpha_target in ALPHA_TARGETS
    assert WAIT.alpha_speed in ALPHA_SPEEDS
