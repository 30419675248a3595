"""`SlotState` against a model of its own: plain numbers and a table of words, written without looking at the code."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tolaria.lifecycle.alpha import Curve, Ramp
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import IllegalMove, Stage

TARGETS = st.sampled_from([0.5, 0.7, 1.0])
STEPS = st.integers(0, 4)

# What a move finds and what it leaves; a pair that is not here is illegal.
LEGAL = {
    ("germinate", "dormant"): "germinated",
    ("advance", "germinated"): "training",
    ("advance", "training"): "blending",
    ("advance", "blending"): "holding",
    ("retarget", "holding"): "blending",
    ("fossilize", "holding"): "fossilized",
    ("prune", "germinated"): "pruned",
    ("prune", "training"): "pruned",
    ("prune", "blending"): "pruned",
    ("prune", "holding"): "pruned",
}


class SlotMachine(RuleBasedStateMachine):
    """Any sequence of moves and ticks; alpha is followed on linear ramps, whose closed form is one line."""

    def __init__(self) -> None:
        super().__init__()
        self.state = SlotState("s0")
        self.stage = "dormant"
        self.generation = 0
        self.age = 0
        self.in_stage = 0
        self.rest = 0
        self.wish = (1.0, 5)
        self.begin, self.target, self.total, self.done = 0.0, 0.0, 0, 0

    def attempt(self, move: str, call: Callable[[], SlotState]) -> bool:
        """Make a move on both sides; an illegal one must raise and change nothing."""
        before = self.state
        if (move, self.stage) not in LEGAL:
            with pytest.raises(IllegalMove):
                call()
            assert self.state is before
            return False
        self.state = call()
        assert before.stage == self.stage
        self.stage = LEGAL[move, self.stage]
        self.in_stage = 0
        return True

    def expected_alpha(self) -> float:
        return self.target if self.done >= self.total else self.begin + (self.target - self.begin) * self.done / self.total

    @rule(to=TARGETS, steps=STEPS, blend=st.sampled_from(Blend))
    def germinate(self, to: float, steps: int, blend: Blend) -> None:
        if self.attempt("germinate", lambda: self.state.germinated("norm", blend, steps, to, Curve.LINEAR)):
            self.generation += 1
            self.age = 0
            self.wish = (to, steps)
            assert (self.state.blueprint, self.state.blend) == ("norm", blend)
            assert (self.state.contribution, self.state.magnitude) == (None, None)

    @rule()
    def advance(self) -> None:
        if self.attempt("advance", self.state.advanced) and self.stage == "blending":
            self.begin, (self.target, self.total), self.done = 0.0, self.wish, 0

    @rule(to=TARGETS, steps=STEPS)
    def retarget(self, to: float, steps: int) -> None:
        alpha = self.expected_alpha()
        if self.attempt("retarget", lambda: self.state.retargeted(to, steps, Curve.LINEAR)):
            self.begin, self.target, self.total, self.done = alpha, to, steps, 0

    @rule()
    def fossilize(self) -> None:
        self.attempt("fossilize", self.state.fossilized)

    @rule()
    def prune(self) -> None:
        if self.attempt("prune", self.state.pruned):
            self.begin, self.target, self.total, self.done = 0.0, 0.0, 0, 0
            self.rest = 7
            assert (self.state.contribution, self.state.magnitude) == (None, None)

    @rule(contribution=st.floats(-1, 1))
    def measure(self, contribution: float) -> None:
        # What is measured must shift no counter and no alpha.
        self.state = replace(self.state, contribution=contribution, magnitude=abs(contribution))

    @rule()
    def tick(self) -> None:
        self.state = self.state.ticked()
        if self.rest:
            self.rest -= 1
            self.stage = {6: "embargoed", 1: "resetting", 0: "dormant"}.get(self.rest, self.stage)
        elif self.stage != "dormant":
            self.age += 1
            self.in_stage += 1
            self.done += self.stage == "blending"

    @invariant()
    def agree(self) -> None:
        assert self.state.stage == self.stage
        assert self.state.slot == "s0"
        assert self.state.generation == self.generation
        assert self.state.alpha == pytest.approx(self.expected_alpha(), abs=1e-12)
        assert self.state.occupied == (self.stage in {"germinated", "training", "blending", "holding", "fossilized"})
        if self.state.occupied:
            assert (self.state.age, self.state.steps_in_stage) == (self.age, self.in_stage)


SlotMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSlotMachine = SlotMachine.TestCase

MOVES: dict[str, Callable[[SlotState], SlotState]] = {
    "germinate": lambda state: state.germinated("norm", Blend.ADD, 3, 1.0, Curve.LINEAR),
    "advance": lambda state: state.advanced(),
    "retarget": lambda state: state.retargeted(0.5, 2, Curve.LINEAR),
    "fossilize": lambda state: state.fossilized(),
    "prune": lambda state: state.pruned(),
}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("move", MOVES)
def test_only_moves_of_the_table_succeed(stage: Stage, move: str) -> None:
    state = SlotState("s0", stage, "norm", generation=3, ramp=Ramp(0.0, 0.7, 5, 2), age=4, steps_in_stage=1)
    kept = replace(state)
    if (move, stage.value) in LEGAL:
        assert MOVES[move](state).stage.value == LEGAL[move, stage.value]
    else:
        with pytest.raises(IllegalMove):
            MOVES[move](state)
    assert state == kept


def test_a_slot_begins_empty_with_a_linear_blend_of_five_steps_in_mind() -> None:
    empty = SlotState("s0", Stage.DORMANT, None, Blend.ADD, 0, Ramp(), 1.0, 5, Curve.LINEAR, 0, 0, None, None)
    assert SlotState("s0") == empty


def test_a_blend_is_written_as_its_word() -> None:
    assert [blend.value for blend in Blend] == ["add", "multiply", "gate"]


def held() -> SlotState:
    """A seed that is held at full strength."""
    state = MOVES["germinate"](SlotState("s0")).advanced().advanced()
    for _ in range(3):
        state = state.ticked()
    return state.advanced()


def test_a_pruned_slot_is_dormant_after_one_five_and_one_ticks() -> None:
    state = held().pruned()
    stages = []
    for _ in range(8):
        stages.append(state.stage.value)
        state = replace(state.ticked(), contribution=0.5)
    assert stages == ["pruned", *["embargoed"] * 5, "resetting", "dormant"]


def test_what_was_pruned_in_the_middle_of_a_blend_is_on_no_way_any_more() -> None:
    state = blended(2)
    assert state.ramp != Ramp()
    assert state.pruned().ramp == Ramp()


def test_what_was_measured_of_a_seed_goes_with_it() -> None:
    state = replace(held(), contribution=0.5, contribution_error=0.1, magnitude=0.2).pruned()
    assert (state.contribution, state.contribution_error, state.magnitude) == (None, None, None)


def test_a_resting_slot_counts_its_steps_in_each_stage_anew() -> None:
    state, counted = held().pruned(), []
    for _ in range(7):
        counted.append(state.steps_in_stage)
        state = state.ticked()
    assert counted == [0, 0, 1, 2, 3, 4, 0]


def test_a_slot_that_rested_is_as_new_but_for_its_generation() -> None:
    state = held().pruned()
    for _ in range(7):
        state = state.ticked()
    assert state == SlotState("s0", generation=1)


def test_a_second_seed_inherits_nothing_but_the_count() -> None:
    old = replace(SlotState("s0", generation=1), age=9, steps_in_stage=4, contribution=0.5, magnitude=0.2, ramp=Ramp(0.0, 1.0, 3, 3))
    assert MOVES["germinate"](old) == replace(MOVES["germinate"](SlotState("s0")), generation=2)


def test_blending_takes_the_target_steps_and_curve_of_the_germination() -> None:
    state = SlotState("s0").germinated("norm", Blend.MULTIPLY, 8, 0.7, Curve.COSINE).advanced().advanced()
    assert state.ramp == Ramp(0.0, 0.7, 8, 0, Curve.COSINE)


def test_a_seed_that_is_held_can_be_sent_to_another_alpha_along_another_curve() -> None:
    assert held().retargeted(0.5, 4, Curve.COSINE).ramp == Ramp(1.0, 0.5, 4, 0, Curve.COSINE)


def test_a_seed_that_is_held_has_another_strength_at_once_and_is_held_as_long_as_before() -> None:
    state = held().ticked().ticked()
    assert state.held_at(0.25) == replace(state, ramp=Ramp(1.0, 0.25, 0))
    assert (state.held_at(0.25).alpha, state.held_at(0.25).ticked().alpha) == (0.25, 0.25)


def test_only_a_seed_that_is_held_is_given_a_strength() -> None:
    with pytest.raises(AssertionError):
        blended(4).held_at(0.25)


def test_a_seed_holds_for_ever_when_nobody_decides() -> None:
    state = held()
    for _ in range(1000):
        state = state.ticked()
    assert (state.stage, state.alpha, state.age) == (Stage.HOLDING, 1.0, 1003)


def test_alpha_moves_in_blending_only() -> None:
    # A gate was passed by: the seed is held, and later fossilized, halfway up its ramp.
    state = SlotState("s0", Stage.HOLDING, "norm", ramp=Ramp(0.0, 1.0, 4, 2))
    assert state.ticked().alpha == 0.5
    assert state.fossilized().ticked().alpha == 0.5


def test_a_dormant_slot_does_not_age() -> None:
    assert SlotState("s0").ticked() == SlotState("s0")


def blended(alpha_steps: int) -> SlotState:
    """A seed so many steps up its ramp of four."""
    state = SlotState("s0").germinated("norm", Blend.ADD, 4, 1.0, Curve.LINEAR).advanced().advanced()
    for _ in range(alpha_steps):
        state = state.ticked()
    return state


@pytest.mark.parametrize("curve", Curve)
def test_a_seed_fades_along_its_curve_from_where_it_stood(curve: Curve) -> None:
    state = blended(2).fading(3, curve)
    assert (state.stage, state.alpha, state.faded) == (Stage.BLENDING, 0.5, False)
    alphas = []
    for _ in range(3):
        state = state.ticked()
        alphas.append(state.alpha)
    assert alphas == [Ramp(0.5, 0.0, 3, done, curve).alpha for done in (1, 2, 3)]
    assert sorted(alphas, reverse=True) == alphas
    assert (alphas[-1], state.faded) == (0.0, True)


def test_a_seed_that_is_held_goes_back_to_blending_to_fade() -> None:
    state = held().fading(2, Curve.LINEAR)
    assert (state.stage, state.steps_in_stage, state.ramp) == (Stage.BLENDING, 0, Ramp(1.0, 0.0, 2))


def test_only_a_way_down_to_nothing_is_a_way_out() -> None:
    assert not blended(0).faded
    assert not blended(4).faded
    nothing = SlotState("s0").germinated("norm", Blend.ADD, 1, 0.0, Curve.LINEAR).advanced().advanced().ticked()
    assert (nothing.alpha, nothing.faded) == (0.0, False)
    assert not held().retargeted(0.5, 0, Curve.LINEAR).faded
    assert held().retargeted(0.0, 0, Curve.LINEAR).faded
