import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend
from tolaria.policy.action_space import ActionSpace, canonical

SPACE = ActionSpace(slots=("s0", "s1", "s2"), blueprints=("norm", "mlp"))

INDICES = st.tuples(*(st.integers(0, size - 1) for size in SPACE.sizes))


def test_sizes_follow_the_order_of_the_heads() -> None:
    assert SPACE.sizes == (6, 3, 2, 3, 3, 3, 4, 5)


def test_a_germination_decodes_to_what_its_indices_say() -> None:
    expected = Action(Op.GERMINATE, "s2", "mlp", Blend.MULTIPLY, tempo=8, alpha_target=0.5, alpha_curve=Curve.COSINE)
    assert SPACE.decode((1, 2, 1, 1, 2, 0, 3, 1)) == expected


def test_waiting_has_one_value_whatever_the_other_indices_are() -> None:
    assert SPACE.decode((0, 2, 1, 1, 2, 0, 3, 1)) == WAIT


@given(INDICES)
def test_a_decision_survives_encoding(indices: tuple[int, ...]) -> None:
    action = SPACE.decode(indices)
    assert SPACE.decode(SPACE.encode(action)) == action


@given(INDICES)
def test_encoding_is_canonical(indices: tuple[int, ...]) -> None:
    encoded = SPACE.encode(SPACE.decode(indices))
    assert SPACE.encode(SPACE.decode(encoded)) == encoded


def test_irrelevant_factors_have_index_zero() -> None:
    assert SPACE.encode(Action(Op.PRUNE, "s1", blueprint="nowhere", tempo=99)) == (5, 1, 0, 0, 0, 0, 0, 0)


def test_canonical_keeps_what_matters_only() -> None:
    assert canonical(Action(Op.ADVANCE, "s1", "mlp", Blend.MULTIPLY, 8, 0.5, 0, Curve.COSINE)) == Action(Op.ADVANCE, "s1")


@pytest.mark.parametrize("action", [Action(Op.PRUNE, "s9"), Action(Op.GERMINATE, "s0", "conv"), Action(Op.GERMINATE, "s0", "mlp", tempo=4)])
def test_an_unknown_choice_is_refused(action: Action) -> None:
    with pytest.raises(ConfigError, match="expected one of"):
        SPACE.encode(action)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_outside_of_its_head_is_refused(index: int) -> None:
    with pytest.raises(ConfigError, match=r"action\.slot"):
        SPACE.decode((2, index, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("slots", [(), ("s0", "s0")])
def test_slots_are_needed_each_once(slots: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"action_space\.slots"):
        ActionSpace(slots=slots, blueprints=("norm",))


def test_how_slowly_a_seed_goes_belongs_to_the_decision_to_prune_it() -> None:
    fade = SPACE.decode((5, 1, 1, 1, 2, 0, 2, 1))
    assert fade == Action(Op.PRUNE, "s1", alpha_speed=5, alpha_curve=Curve.COSINE)
    assert SPACE.encode(fade) == (5, 1, 0, 0, 0, 0, 2, 1)
