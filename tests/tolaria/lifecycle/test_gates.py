import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import Op
from tolaria.lifecycle.alpha import Curve, Ramp
from tolaria.lifecycle.gates import MOVES, GateConfig, lower_bound, refusal
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import IllegalMove, Stage, is_possible

CONFIG = GateConfig(training_steps_min=3, magnitude_max=1.0, holding_steps_min=1, contribution_min=0.01, prune_age_min=2, seeds_max=1)

# A seed of each stage for which every gate stands open.
READY = SlotState(
    "s0", blueprint="norm", ramp=Ramp(0.0, 1.0, 4, 4), age=20, steps_in_stage=9, contribution=0.05, contribution_error=0.02, magnitude=0.3
)


def ask(state: SlotState, op: Op, config: GateConfig = CONFIG, **neighbours: SlotState) -> str | None:
    return refusal({"s0": state, **neighbours}, op, "s0", config)


def ready(stage: Stage, **changes: Any) -> SlotState:
    return replace(READY, stage=stage, **changes)


def execute(state: SlotState, op: Op) -> SlotState:
    """What an environment does with an op, gates aside."""
    match op:
        case Op.GERMINATE:
            return state.germinated("norm", Blend.ADD, 3, 1.0, Curve.LINEAR)
        case Op.ADVANCE:
            return state.advanced()
        case Op.RETARGET:
            return state.retargeted(0.5, 3, Curve.LINEAR)
        case Op.FOSSILIZE:
            return state.fossilized()
        case Op.PRUNE:
            return state.pruned()
        case Op.WAIT:
            return state


def test_every_op_but_waiting_has_its_move() -> None:
    assert set(MOVES) == set(Op) - {Op.WAIT}
    assert all(op.value == move.value for op, move in MOVES.items())


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("op", MOVES)
def test_with_open_gates_the_table_alone_decides(op: Op, stage: Stage) -> None:
    reason = ask(ready(stage), op)
    assert (reason is None) == is_possible(stage, MOVES[op])
    if reason is not None:
        assert reason == f"{op.value} is not possible from {stage.value}"


AT_LEAST = "the seed contributes at least"
NEEDED = "with confidence 0.95, more than +0.0100 is needed"

states = st.builds(
    SlotState,
    slot=st.just("s0"),
    stage=st.sampled_from(Stage),
    ramp=st.integers(0, 3).map(lambda done: Ramp(0.0, 1.0, 3, done)),
    age=st.integers(0, 6),
    steps_in_stage=st.integers(0, 6),
    contribution=st.none() | st.floats(),
    contribution_error=st.none() | st.floats(0.0, 1.0),
    magnitude=st.none() | st.floats(),
)


@given(state=states, neighbour=states, op=st.sampled_from(Op))
def test_what_is_not_refused_can_be_executed(state: SlotState, neighbour: SlotState, op: Op) -> None:
    if ask(state, op, s1=neighbour) is None:
        execute(state, op)


@given(state=states, neighbour=states, op=st.sampled_from(sorted(MOVES)))
def test_what_the_table_does_not_know_is_refused(state: SlotState, neighbour: SlotState, op: Op) -> None:
    try:
        execute(state, op)
    except IllegalMove:
        assert ask(state, op, s1=neighbour) is not None


@pytest.mark.parametrize("stage", Stage)
def test_waiting_is_always_legal(stage: Stage) -> None:
    assert ask(SlotState("s0", stage), Op.WAIT) is None
    assert refusal({}, Op.WAIT, "", CONFIG) is None


@pytest.mark.parametrize("op", MOVES)
def test_a_slot_that_does_not_exist_is_refused_by_name(op: Op) -> None:
    assert refusal({"s0": READY}, op, "s7", CONFIG) == "there is no slot 's7'"


@pytest.mark.parametrize(
    ("state", "op", "reason"),
    [
        (ready(Stage.TRAINING, steps_in_stage=2), Op.ADVANCE, "trained for 2 steps, 3 are needed"),
        (ready(Stage.TRAINING, magnitude=None), Op.ADVANCE, "the seed's magnitude is not measured"),
        (ready(Stage.TRAINING, magnitude=1.5), Op.ADVANCE, "the seed's magnitude is 1.5 of the host's, at most 1 may blend"),
        (ready(Stage.TRAINING, magnitude=math.nan), Op.ADVANCE, "the seed's magnitude is nan of the host's, at most 1 may blend"),
        (ready(Stage.TRAINING, magnitude=math.inf), Op.ADVANCE, "the seed's magnitude is inf of the host's, at most 1 may blend"),
        (ready(Stage.BLENDING, ramp=Ramp(0.0, 1.0, 4, 3)), Op.ADVANCE, "alpha is 0.75 on its way to 1.00"),
        (ready(Stage.HOLDING, steps_in_stage=0), Op.FOSSILIZE, "held for 0 steps, 1 are needed"),
        (ready(Stage.HOLDING, contribution=None), Op.FOSSILIZE, "the seed's contribution is not measured"),
        (ready(Stage.HOLDING, contribution_error=None), Op.FOSSILIZE, "the seed's contribution is not measured"),
        (ready(Stage.HOLDING, contribution=0.01, contribution_error=0.0), Op.FOSSILIZE, f"{AT_LEAST} +0.0100 {NEEDED}"),
        # 1.6449 standard errors of 0.02 below 0.0428 is 0.0099.
        (ready(Stage.HOLDING, contribution=0.0428), Op.FOSSILIZE, f"{AT_LEAST} +0.0099 {NEEDED}"),
        (ready(Stage.HOLDING, contribution=math.nan), Op.FOSSILIZE, f"{AT_LEAST} +nan {NEEDED}"),
        (ready(Stage.HOLDING, contribution_error=math.inf), Op.FOSSILIZE, f"{AT_LEAST} -inf {NEEDED}"),
        (ready(Stage.GERMINATED, age=1), Op.PRUNE, "the seed is 1 steps old, 2 are needed"),
    ],
)
def test_a_closed_gate_gives_its_reason(state: SlotState, op: Op, reason: str) -> None:
    assert ask(state, op) == reason


@pytest.mark.parametrize(
    ("state", "op"),
    [
        (ready(Stage.TRAINING, steps_in_stage=3), Op.ADVANCE),
        (ready(Stage.TRAINING, magnitude=1.0), Op.ADVANCE),
        (ready(Stage.HOLDING, steps_in_stage=1), Op.FOSSILIZE),
        (ready(Stage.HOLDING, contribution=0.0432), Op.FOSSILIZE),
        (ready(Stage.GERMINATED, age=2), Op.PRUNE),
        (ready(Stage.GERMINATED, steps_in_stage=0, magnitude=None), Op.ADVANCE),
        (ready(Stage.HOLDING, steps_in_stage=0, contribution=None), Op.RETARGET),
    ],
)
def test_a_gate_opens_exactly_at_its_limit(state: SlotState, op: Op) -> None:
    assert ask(state, op) is None


def test_a_fresh_seed_cannot_blend_before_it_is_measured() -> None:
    state = SlotState("s0").germinated("norm", Blend.ADD, 3, 1.0, Curve.LINEAR).advanced()
    for _ in range(50):
        state = state.ticked()
    assert ask(state, Op.ADVANCE) == "the seed's magnitude is not measured"


@pytest.mark.parametrize("stage", [Stage.GERMINATED, Stage.TRAINING, Stage.BLENDING, Stage.HOLDING])
def test_a_growing_neighbour_takes_the_only_place(stage: Stage) -> None:
    reason = ask(SlotState("s0"), Op.GERMINATE, s1=SlotState("s1", stage))
    assert reason == "1 seeds are growing, 1 may"


@pytest.mark.parametrize("stage", [Stage.DORMANT, Stage.FOSSILIZED, Stage.PRUNED, Stage.EMBARGOED, Stage.RESETTING])
def test_a_neighbour_that_does_not_grow_takes_no_place(stage: Stage) -> None:
    assert ask(SlotState("s0"), Op.GERMINATE, s1=SlotState("s1", stage)) is None


def test_two_seeds_may_grow_where_two_are_allowed() -> None:
    config = replace(CONFIG, seeds_max=2)
    neighbours = {"s1": SlotState("s1", Stage.TRAINING)}
    assert ask(SlotState("s0"), Op.GERMINATE, config, **neighbours) is None
    neighbours["s2"] = SlotState("s2", Stage.HOLDING)
    assert ask(SlotState("s0"), Op.GERMINATE, config, **neighbours) == "2 seeds are growing, 2 may"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training_steps_min": -1}, "gates.training_steps_min: found -1, expected a number of steps, 0 or more"),
        ({"holding_steps_min": -1}, "gates.holding_steps_min: found -1, expected a number of steps, 0 or more"),
        ({"prune_age_min": -1}, "gates.prune_age_min: found -1, expected a number of steps, 0 or more"),
        ({"seeds_max": 0}, "gates.seeds_max: found 0, expected at least 1 experimental seed at a time"),
        ({"magnitude_max": 0.0}, "gates.magnitude_max: found 0.0, expected a ratio above 0"),
        ({"commit_confidence": 0.49}, "gates.commit_confidence: found 0.49, expected a probability in [0.5, 1)"),
        ({"commit_confidence": 1.0}, "gates.commit_confidence: found 1.0, expected a probability in [0.5, 1)"),
        ({"commit_confidence": math.nan}, "gates.commit_confidence: found nan, expected a probability in [0.5, 1)"),
        ({"magnitude_max": math.nan}, "gates.magnitude_max: found nan, expected a ratio above 0"),
    ],
)
def test_an_impossible_config_is_refused_with_its_path(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        GateConfig(**changes)
    assert str(refused.value) == message


def test_the_smallest_config_asks_for_nothing_and_allows_one_seed() -> None:
    config = GateConfig(0, 0.001, 0, -1.0, 0, 1, 0.5)
    assert ask(ready(Stage.TRAINING, steps_in_stage=0, magnitude=0.001), Op.ADVANCE, config) is None
    assert ask(ready(Stage.HOLDING, steps_in_stage=0, contribution=-1.0, contribution_error=0.0), Op.FOSSILIZE, config) is None


@pytest.mark.parametrize(("contribution", "op_is_open"), [(-1.0, True), (0.0, True), (math.nan, False), (None, False)])
def test_at_a_minimum_of_minus_one_whatever_was_measured_is_enough(contribution: float | None, op_is_open: bool) -> None:
    state = ready(Stage.HOLDING, contribution=contribution, contribution_error=0.5)
    assert (ask(state, Op.FOSSILIZE, replace(CONFIG, contribution_min=-1.0)) is None) is op_is_open


def test_with_a_confidence_of_a_half_the_measured_mean_is_asked_for() -> None:
    state = ready(Stage.HOLDING, contribution=0.011, contribution_error=0.5)
    assert ask(state, Op.FOSSILIZE, replace(CONFIG, commit_confidence=0.5)) is None
    assert lower_bound(state, 0.5) == 0.011
    assert lower_bound(state, 0.975) == pytest.approx(0.011 - 1.96 * 0.5, abs=1e-4)


def test_gates_ask_for_three_steps_of_training_one_of_holding_and_two_before_a_prune() -> None:
    assert GateConfig() == GateConfig(3, 1.0, 1, 0.0, 2, 1, 0.95)
