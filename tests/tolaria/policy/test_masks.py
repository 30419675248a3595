from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.lifecycle.action import Op
from tolaria.lifecycle.gates import GateConfig, refusal
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.masks import masks_of
from tolaria.policy.view import View


def test_masked_is_refused_in_every_state(any_view: st.SearchStrategy[View]) -> None:
    @settings(deadline=None, max_examples=200)
    @given(any_view)
    def holds(view: View) -> None:
        masks = masks_of(view)
        for i, op in enumerate(Op):
            refused = [refusal(view.slots, op, slot, view.gates) is not None for slot in view.slots]
            assert (~masks.slot_by_op[i]).tolist() == refused
            assert bool(masks.op[i]) == (not all(refused))

    holds()


def test_waiting_is_always_legal(any_view: st.SearchStrategy[View]) -> None:
    @settings(deadline=None)
    @given(any_view)
    def holds(view: View) -> None:
        assert bool(masks_of(view).op[0])

    holds()


def test_an_empty_host_may_wait_or_germinate(make_view: Callable[..., View]) -> None:
    masks = masks_of(make_view())
    assert masks.op.tolist() == [True, True, False, False, False, False]
    assert masks.slot_by_op[1].tolist() == [True, True]
    assert not masks.forced


def test_slots_are_masked_for_each_op_on_its_own(make_view: Callable[..., View]) -> None:
    states = (SlotState("s0"), SlotState("s1", Stage.GERMINATED, "mlp", age=5))
    masks = masks_of(make_view(states, gates=GateConfig(seeds_max=2)))
    assert masks.slot_by_op[1].tolist() == [True, False]
    assert masks.slot_by_op[2].tolist() == [False, True]
    assert masks.slot_by_op[5].tolist() == [False, True]


def test_a_step_is_forced_where_nothing_but_waiting_is_legal(make_view: Callable[..., View]) -> None:
    states = (SlotState("s0", Stage.FOSSILIZED, "mlp"), SlotState("s1", Stage.EMBARGOED))
    assert masks_of(make_view(states)).forced
