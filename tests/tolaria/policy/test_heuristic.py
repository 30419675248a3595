import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig, refusal
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.heuristic import HeuristicConfig, HeuristicPolicy
from tolaria.policy.view import View
from tolaria.vitals import Vitals

POLICY = HeuristicPolicy(HeuristicConfig())
HELD = SlotState("s0", Stage.HOLDING, "mlp", age=15, steps_in_stage=1)


def losses(*val_losses: float) -> tuple[Vitals, ...]:
    return tuple(Vitals(step, loss, loss, 0.5, 1.0) for step, loss in enumerate(val_losses))


def test_every_decision_is_legal(any_view: st.SearchStrategy[View]) -> None:
    @settings(deadline=None, max_examples=300)
    @given(any_view)
    def holds(view: View) -> None:
        action = POLICY.decide(view)
        assert refusal(view.slots, action.op, action.slot, view.gates) is None

    holds()


def test_a_host_that_still_learns_is_left_alone_at_first(make_view: Callable[..., View]) -> None:
    assert POLICY.decide(make_view(episode_step=4, recent=losses(2.0, 1.8, 1.6, 1.4))) == WAIT


def test_the_end_of_the_warmup_germinates(make_view: Callable[..., View]) -> None:
    assert POLICY.decide(make_view(episode_step=5)) == Action(Op.GERMINATE, "s0", "norm")


def test_without_a_warmup_the_first_step_germinates(make_view: Callable[..., View]) -> None:
    assert HeuristicPolicy(HeuristicConfig(warmup_steps=0)).decide(make_view(episode_step=0)).op is Op.GERMINATE


def test_a_plateau_germinates_before_the_warmup_ends(make_view: Callable[..., View]) -> None:
    assert POLICY.decide(make_view(episode_step=4, recent=losses(2.0, 1.99, 1.99, 1.99))).op is Op.GERMINATE


# A hundredth of the chance loss is what a plateau may gain, and what it may lose.
@pytest.mark.parametrize(("last", "op"), [(2.01, Op.GERMINATE), (2.2, Op.WAIT), (math.nan, Op.WAIT)])
def test_a_loss_that_jumps_is_no_plateau(make_view: Callable[..., View], last: float, op: Op) -> None:
    assert POLICY.decide(make_view(episode_step=4, recent=losses(2.0, 2.0, 2.0, last))).op is op


def test_blueprints_take_turns(make_view: Callable[..., View]) -> None:
    states = (SlotState("s0", generation=1), SlotState("s1", generation=2))
    assert POLICY.decide(make_view(states, episode_step=9)).blueprint == "mlp"


def test_nothing_germinates_in_the_last_third(make_view: Callable[..., View]) -> None:
    assert POLICY.decide(make_view(episode_step=19)).op is Op.GERMINATE
    assert POLICY.decide(make_view(episode_step=20)) == WAIT


def test_an_open_gate_advances_and_a_closed_one_waits(make_view: Callable[..., View]) -> None:
    ready = SlotState("s0", Stage.TRAINING, "mlp", age=5, steps_in_stage=3, magnitude=0.5)
    assert POLICY.decide(make_view((ready,))) == Action(Op.ADVANCE, "s0")
    assert POLICY.decide(make_view((replace(ready, steps_in_stage=2),))) == WAIT


def test_a_seed_that_never_gets_through_its_stage_is_pruned(make_view: Callable[..., View]) -> None:
    stuck = SlotState("s0", Stage.TRAINING, "mlp", age=25, steps_in_stage=20, magnitude=3.0)
    assert POLICY.decide(make_view((stuck,))) == Action(Op.PRUNE, "s0")


@pytest.mark.parametrize(
    ("contribution", "op"),
    [(0.02, Op.FOSSILIZE), (0.008, Op.WAIT), (0.0, Op.WAIT), (-0.001, Op.PRUNE), (None, Op.WAIT), (math.nan, Op.PRUNE)],
)
def test_a_held_seed_is_kept_for_what_it_contributes(make_view: Callable[..., View], contribution: float | None, op: Op) -> None:
    # 1.645 standard errors are 0.0082, so that a contribution of 0.008 is not sure to be one.
    assert POLICY.decide(make_view((replace(HELD, contribution=contribution, contribution_error=0.005),))).op is op


def test_a_seed_is_not_held_for_ever(make_view: Callable[..., View]) -> None:
    assert POLICY.decide(make_view((replace(HELD, steps_in_stage=5),))).op is Op.PRUNE
    unsure = replace(HELD, contribution=0.008, contribution_error=0.005)
    assert POLICY.decide(make_view((replace(unsure, steps_in_stage=4),))).op is Op.WAIT
    assert POLICY.decide(make_view((replace(unsure, steps_in_stage=5),))).op is Op.PRUNE


def test_a_good_seed_is_kept_however_late(make_view: Callable[..., View]) -> None:
    assert POLICY.decide(make_view((replace(HELD, steps_in_stage=9, contribution=0.1, contribution_error=0.01),))).op is Op.FOSSILIZE


def test_a_seed_walks_its_whole_life(make_view: Callable[..., View]) -> None:
    """Carried out on the real records, the decisions lead from an empty slot to a fossil."""
    state, ops = SlotState("s0"), []
    for step in range(5, 30):
        action = POLICY.decide(make_view((state,), episode_step=step))
        ops.append(action.op)
        if action.op is Op.GERMINATE:
            state = state.germinated(action.blueprint, action.blend, action.tempo, action.alpha_target, action.alpha_curve)
        elif action.op is Op.ADVANCE:
            state = state.advanced()
        elif action.op is Op.FOSSILIZE:
            state = state.fossilized()
        state = replace(state.ticked(), magnitude=0.1, contribution=0.05, contribution_error=0.01)
    assert [op for op in ops if op is not Op.WAIT] == [Op.GERMINATE, Op.ADVANCE, Op.ADVANCE, Op.ADVANCE, Op.FOSSILIZE]
    assert state.stage is Stage.FOSSILIZED


def test_one_seed_grows_at_a_time_where_the_gate_says_so(make_view: Callable[..., View]) -> None:
    states = (SlotState("s0", Stage.TRAINING, "mlp"), SlotState("s1"))
    assert POLICY.decide(make_view(states, episode_step=9, gates=GateConfig(seeds_max=1))) == WAIT
    assert POLICY.decide(make_view(states, episode_step=9, gates=GateConfig(seeds_max=2))).op is Op.GERMINATE


@pytest.mark.parametrize(
    ("field", "value"), [("warmup_steps", -1), ("plateau_steps", 5), ("germinate_until", 1.5), ("tempo", 4), ("alpha_target", 0.6)]
)
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"heuristic\.{field}"):
        HeuristicConfig(**{field: value})  # type: ignore[arg-type]  # wrong on purpose
