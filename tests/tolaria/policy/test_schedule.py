from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.alpha import Ramp
from tolaria.lifecycle.gates import GateConfig, refusal
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.schedule import ScheduleConfig, SchedulePolicy
from tolaria.policy.view import View

MakeView = Callable[..., View]

POLICY = SchedulePolicy(ScheduleConfig(begin=4, every=10, training_steps=3, holding_steps=2, tempo=3))
SEED = SlotState("s0", Stage.TRAINING, "mlp", generation=1, age=9, steps_in_stage=3, magnitude=0.1)
HELD = replace(SEED, stage=Stage.HOLDING, steps_in_stage=2, ramp=Ramp(0.0, 1.0, 3, 3), contribution=0.1, contribution_error=0.01)


def test_every_decision_is_legal(any_view: st.SearchStrategy[View]) -> None:
    @settings(deadline=None)
    @given(any_view)
    def holds(view: View) -> None:
        action = POLICY.decide(view)
        assert refusal(view.slots, action.op, action.slot, view.gates) is None

    holds()


def test_the_first_seed_is_the_last_blueprint_of_its_family_at_its_step(make_view: MakeView) -> None:
    assert POLICY.decide(make_view(episode_step=3)) == WAIT
    due = POLICY.decide(make_view(episode_step=4))
    assert due == Action(op=Op.GERMINATE, slot="s0", blueprint=make_view().blueprints[-1], blend=Blend.ADD, tempo=3)


def test_another_blueprint_can_be_named(make_view: MakeView) -> None:
    controller = SchedulePolicy(ScheduleConfig(begin=0, blueprint="norm"))
    assert controller.decide(make_view()).blueprint == "norm"


def test_the_next_seed_has_its_own_step_whatever_became_of_the_first(make_view: MakeView) -> None:
    for first in (replace(HELD, stage=Stage.FOSSILIZED), replace(SlotState("s0"), stage=Stage.PRUNED, generation=1)):
        states = (first, SlotState("s1"))
        assert POLICY.decide(make_view(states, episode_step=13)) == WAIT
        assert POLICY.decide(make_view(states, episode_step=14)).slot == "s1"


@pytest.mark.parametrize(
    ("state", "due"),
    [
        (replace(SEED, stage=Stage.GERMINATED), Op.ADVANCE),
        (replace(SEED, steps_in_stage=2), Op.WAIT),
        (SEED, Op.ADVANCE),
        (replace(SEED, magnitude=None), Op.WAIT),
        (replace(SEED, stage=Stage.BLENDING, ramp=Ramp(0.0, 1.0, 3, 2)), Op.WAIT),
        (replace(SEED, stage=Stage.BLENDING, ramp=Ramp(0.0, 1.0, 3, 3)), Op.ADVANCE),
        (replace(HELD, steps_in_stage=1), Op.WAIT),
        (HELD, Op.FOSSILIZE),
        (replace(HELD, contribution=-0.2), Op.WAIT),
    ],
)
def test_a_seed_goes_on_by_the_clock_where_its_gate_is_open(state: SlotState, due: Op, make_view: MakeView) -> None:
    assert POLICY.decide(make_view((state,), episode_step=0, gates=GateConfig(training_steps_min=0))).op is due


@pytest.mark.parametrize("name", ["begin", "every", "training_steps", "holding_steps"])
def test_a_schedule_has_no_negative_steps(name: str) -> None:
    with pytest.raises(ConfigError, match=f"schedule.{name}"):
        ScheduleConfig(**{name: -1})  # type: ignore[arg-type]  # one of four counts


def test_only_what_the_action_space_holds_can_be_scheduled() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.tempo"):
        ScheduleConfig(tempo=4)
    with pytest.raises(ConfigError, match=r"schedule\.alpha_target"):
        ScheduleConfig(alpha_target=0.6)
