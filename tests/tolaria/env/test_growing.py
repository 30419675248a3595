from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tolaria.env.config import AttributionConfig, RewardConfig
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.stage import IllegalMove, Stage
from tolaria.seams import NO_TAPS, VALIDATION_READY, Batch, Seam, Taps
from tolaria.telemetry.event import Point
from tolaria.telemetry.growth_events import ActionRefused, AlphaSearched, FossilMeasured, StageChanged
from tolaria.telemetry.run_events import StepFinished

# Builds a host or an environment and keeps what it tells.
Make = Callable[..., Any]

GERMINATE = Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp", tempo=2)
ADVANCE = Action(op=Op.ADVANCE, slot="s0")
PRUNE = Action(op=Op.PRUNE, slot="s0")
AT = Point(0, 0)


def test_every_change_of_a_stage_is_told(make_env: Make, open_gates: GateConfig) -> None:
    told = make_env(gates=open_gates, episode_steps=20)
    for step, action in enumerate([GERMINATE, ADVANCE, ADVANCE, WAIT, ADVANCE, PRUNE, *[WAIT] * 8]):
        told.subject.advance(action, Point(step, 0))
    changes = [(event.at.step, event.stage_from, event.stage_to, event.initiator) for event in told.of(StageChanged)]
    assert changes == [
        (0, Stage.DORMANT, Stage.GERMINATED, "policy"),
        (1, Stage.GERMINATED, Stage.TRAINING, "policy"),
        (2, Stage.TRAINING, Stage.BLENDING, "policy"),
        (4, Stage.BLENDING, Stage.HOLDING, "policy"),
        (5, Stage.HOLDING, Stage.PRUNED, "policy"),
        (5, Stage.PRUNED, Stage.EMBARGOED, "time"),
        (10, Stage.EMBARGOED, Stage.RESETTING, "time"),
        (11, Stage.RESETTING, Stage.DORMANT, "time"),
    ]


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (ADVANCE, "advance is not possible from dormant"),
        (Action(op=Op.GERMINATE, slot="s7", blueprint="mlp_norm"), "there is no slot 's7'"),
        (Action(op=Op.GERMINATE, slot="s0", blueprint="conv_norm"), "the task has no blueprint 'conv_norm'"),
        (Action(op=Op.GERMINATE, slot="s0"), "the task has no blueprint ''"),
    ],
)
def test_a_refusal_is_told_and_changes_nothing(action: Action, reason: str, make_host: Make, open_gates: GateConfig) -> None:
    told = make_host()
    assert not told.subject.apply(action, open_gates, AT)
    assert [(event.op, event.slot, event.reason) for event in told.events] == [(action.op.value, action.slot, reason)]
    assert all(state.stage is Stage.DORMANT for state in told.subject.host.slot_states().values())


def test_waiting_is_always_accepted_and_not_told(make_host: Make, open_gates: GateConfig) -> None:
    told = make_host()
    assert told.subject.apply(WAIT, open_gates, AT)
    assert told.events == []


def test_a_move_that_the_table_does_not_know_raises_and_changes_nothing(make_host: Make) -> None:
    told = make_host()
    for move in (told.subject.prune, told.subject.fossilize):
        with pytest.raises(IllegalMove):
            move("s0", AT, "by hand", "fault")
    assert told.events == []
    assert told.subject.state("s0").stage is Stage.DORMANT


def test_a_closed_gate_leaves_the_seed_where_it_is(make_host: Make) -> None:
    told = make_host()
    gates = GateConfig(training_steps_min=3)
    host = told.subject
    assert host.apply(GERMINATE, gates, AT)
    host.tick(AT)
    assert host.apply(ADVANCE, gates, AT)
    host.tick(AT)
    assert not host.apply(ADVANCE, gates, AT)
    assert told.of(ActionRefused)[0].reason == "trained for 1 steps, 3 are needed"
    assert host.state("s0").stage is Stage.TRAINING


def test_seeds_of_later_generations_are_initialised_anew(make_host: Make, open_gates: GateConfig) -> None:
    host = make_host().subject

    def germinated(generation: int) -> list[float]:
        host.apply(GERMINATE, open_gates, AT)
        assert host.state("s0").generation == generation
        weights: list[float] = next(iter(host.host.seed_tensors("s0").values())).flatten().tolist()
        host.apply(PRUNE, open_gates, AT)
        for _ in range(7):
            host.tick(AT)
        return weights

    assert germinated(1) != germinated(2)


@pytest.mark.parametrize("mode", ["progress", "contribution"])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("is_trained", [False, True], ids=["pruned at once", "pruned in training"])
def test_germinating_and_pruning_over_and_over_earns_less_than_waiting(
    seed: int, is_trained: bool, mode: str, make_env: Make, open_gates: GateConfig
) -> None:
    farming = [GERMINATE, *([ADVANCE] if is_trained else []), PRUNE, *[WAIT] * 7]

    def total(actions: list[Action]) -> float:
        told = make_env(seed, gates=open_gates, episode_steps=len(actions), reward=RewardConfig(mode=mode))
        for step, action in enumerate(actions):
            assert told.subject.advance(action, Point(step, 0)).accepted
        return sum(event.reward for event in told.of(StepFinished))

    rounds = 4
    gained = total(farming * rounds) - total([WAIT] * len(farming) * rounds)
    # Two or three actions a round at 0.0005 each, and rent: a loss, and nothing else, for the host trains as if it were alone.
    assert gained < -0.0005 * 2 * rounds
    assert gained > -0.2


FADE = Action(op=Op.PRUNE, slot="s0", alpha_speed=3)


def faded(make_env: Make, gates: GateConfig, moves: list[Action]) -> tuple[list[tuple[Any, ...]], list[float]]:
    """What a life that ends in fading tells of its stages, and its alpha after each step."""
    told = make_env(gates=gates, episode_steps=30)
    alphas = []
    for step, action in enumerate([*moves, *[WAIT] * 12]):
        assert told.subject.advance(action, Point(step, 0)).accepted
        alphas.append(told.subject.training.state("s0").alpha)
    moved = [(event.at.step, event.stage_to, event.reason, event.initiator) for event in told.of(StageChanged)]
    return moved, alphas


def test_a_seed_that_is_held_fades_out_and_is_pruned_when_nothing_is_left(make_env: Make, open_gates: GateConfig) -> None:
    moved, alphas = faded(make_env, open_gates, [GERMINATE, ADVANCE, ADVANCE, WAIT, ADVANCE, FADE])
    assert moved[4:6] == [(5, Stage.BLENDING, "fading", "policy"), (7, Stage.PRUNED, "faded", "policy")]
    assert alphas[4:8] == [1.0, pytest.approx(2 / 3), pytest.approx(1 / 3), 0.0]
    # Pruned after the tick of its step, so the slot rests from the next one on, as after any prune.
    assert [(step, stage) for step, stage, *_ in moved[6:]] == [(8, Stage.EMBARGOED), (13, Stage.RESETTING), (14, Stage.DORMANT)]


def test_a_seed_fades_out_in_the_middle_of_its_ramp(make_env: Make, open_gates: GateConfig) -> None:
    moved, alphas = faded(make_env, open_gates, [GERMINATE, ADVANCE, ADVANCE, FADE])
    assert moved[3][:2] == (5, Stage.PRUNED)
    assert alphas[2:6] == [0.5, pytest.approx(1 / 3), pytest.approx(1 / 6), 0.0]


@pytest.mark.parametrize("moves", [[GERMINATE], [GERMINATE, ADVANCE]], ids=["germinated", "training"])
def test_what_was_never_blended_needs_no_way_out(moves: list[Action], make_env: Make, open_gates: GateConfig) -> None:
    moved, _ = faded(make_env, open_gates, [*moves, FADE])
    assert moved[len(moves)] == (len(moves), Stage.PRUNED, "decision", "policy")


HOLDING = [GERMINATE, *[ADVANCE] * 2, WAIT, ADVANCE]
FOSSILIZE = Action(op=Op.FOSSILIZE, slot="s0")


def held(make_env: Make, gates: GateConfig, **settings: Any) -> Any:
    """An environment whose seed in s0 is held at alpha 1, and what it told."""
    told = make_env(gates=gates, episode_steps=30, **settings)
    for step, action in enumerate(HOLDING):
        assert told.subject.advance(action, Point(step, 0)).accepted
    assert told.subject.training.state("s0").stage is Stage.HOLDING
    return told


def shouting(training: Any) -> None:
    """Make the seed in s0 answer at random and loudly."""
    with torch.no_grad():
        for parameter in training.host.slot("s0").seed.parameters():
            parameter.normal_(std=3.0, generator=torch.Generator().manual_seed(0))


def test_a_seed_that_harms_at_full_strength_is_committed_at_less(make_env: Make, open_gates: GateConfig) -> None:
    told = held(make_env, open_gates)
    training = told.subject.training
    shouting(training)
    assert told.subject.advance(FOSSILIZE, Point(5, 0)).fossilized
    (searched,) = told.of(AlphaSearched)
    assert (searched.at.step, searched.slot, searched.alphas) == (5, "s0", (1.0, 0.25, 0.5, 0.75))
    assert searched.losses.index(min(searched.losses)) == 1
    assert searched.chosen == 0.25 == training.state("s0").alpha
    assert training.state("s0").ramp.target == 0.25
    # It was held until it was committed, and the table was asked for nothing else.
    assert [event.stage_to for event in told.of(StageChanged)][-2:] == [Stage.HOLDING, Stage.FOSSILIZED]


def test_nothing_is_searched_where_no_shares_are_given(make_env: Make, open_gates: GateConfig) -> None:
    told = held(make_env, open_gates, attribution=AttributionConfig(commit_alphas=()))
    shouting(told.subject.training)
    assert told.subject.advance(FOSSILIZE, Point(5, 0)).fossilized
    assert told.of(AlphaSearched) == []
    assert told.subject.training.state("s0").alpha == 1.0


def test_a_seed_is_committed_when_it_surely_contributes_and_not_before(make_env: Make, open_gates: GateConfig) -> None:
    gates = replace(open_gates, contribution_min=0.0)
    told = held(make_env, gates)
    training = told.subject.training
    for error, accepted in ((None, False), (0.05, False), (0.01, True)):
        training.host.slot("s0").state = replace(training.state("s0"), contribution=0.04, contribution_error=error)
        assert training.apply(FOSSILIZE, gates, Point(5, 0)) is accepted
    assert [event.reason for event in told.of(ActionRefused)] == [
        "the seed's contribution is not measured",
        "the seed contributes at least -0.0422 with confidence 0.95, more than +0.0000 is needed",
    ]


def test_a_fossil_is_measured_anew_at_its_cadence(make_env: Make, open_gates: GateConfig) -> None:
    told = held(make_env, open_gates, attribution=AttributionConfig(reablate_every=4))
    training = told.subject.training
    for step, action in enumerate([FOSSILIZE, *[WAIT] * 8], start=5):
        told.subject.advance(action, Point(step, 0))
    measured = told.of(FossilMeasured)
    # After 8 and 12 steps of the episode, which are those numbered 7 and 11.
    assert [(event.at.step, event.slot, event.generation) for event in measured] == [(7, "s0", 1), (11, "s0", 1)]
    assert (training.state("s0").contribution, training.state("s0").contribution_error) == (measured[-1].contribution, measured[-1].error)
    with_it, without = training.validate()[1], training.validate(without=("s0",))[1]
    training.measure_seeds(Point(20, 0), fossils=True)
    assert told.of(FossilMeasured)[-1].contribution == pytest.approx(with_it - without, abs=1e-6)


class Elsewhere:
    """Lets vitals be taken on a copy of the validation data, of which every answer is wrong."""

    def pass_through(self, seam: Seam[Any], at: Point, value: Any) -> Any:
        return Batch(value.inputs, (value.targets + 1) % 3) if seam is VALIDATION_READY and at.step >= 5 else value


@pytest.mark.parametrize("taps", [NO_TAPS, Elsewhere()])
def test_what_vitals_have_seen_of_the_host_is_what_its_seeds_are_measured_against(
    make_env: Make, open_gates: GateConfig, taps: Taps, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = held(make_env, open_gates, taps=taps)
    training = told.subject.training
    asked_for: list[int] = []
    versions = type(training.host).versions
    monkeypatch.setattr(type(training.host), "versions", lambda *asked: asked_for.append(len(asked[2])) or versions(*asked))
    told.subject.advance(WAIT, Point(5, 0))
    with_it, without = training.validate()[1], training.validate(without=("s0",))[1]
    # Unless it was asked about other data; and whoever measures at another time asks for the host as well.
    assert asked_for == [1 if taps is NO_TAPS else 2]
    assert training.state("s0").contribution == pytest.approx(with_it - without, abs=1e-6)
    assert training.hits is None
    training.measure_seeds(Point(5, 0))
    assert asked_for[1:] == [2]
    assert training.state("s0").contribution == pytest.approx(with_it - without, abs=1e-6)


def test_a_measurement_has_an_error_and_costs_nothing_where_no_seed_is_blended(make_env: Make, open_gates: GateConfig) -> None:
    told = make_env(gates=open_gates, episode_steps=30)
    training = told.subject.training
    for step, action in enumerate([GERMINATE, ADVANCE, ADVANCE, WAIT]):
        told.subject.advance(action, Point(step, 0))
        state = training.state("s0")
        assert (state.contribution is None) == (state.contribution_error is None) == (step < 2)
    assert 0.0 <= training.state("s0").contribution_error < 0.1


def test_seeds_are_valued_together_and_their_values_add_up(make_env: Make, open_gates: GateConfig) -> None:
    told = make_env(gates=open_gates, episode_steps=30)
    training = told.subject.training
    assert training.value_seeds(AT) is None
    other = [replace(action, slot="s1") for action in HOLDING if action.op is not Op.WAIT]
    for step, action in enumerate([*HOLDING, FOSSILIZE, *other[:3], WAIT, other[3]]):
        assert told.subject.advance(action, Point(step, 0)).accepted
    shouting(training)
    valued = training.value_seeds(Point(9, 0))
    assert (valued.slots, valued.exact) == (("s0", "s1"), True)
    assert valued.accuracy_with == pytest.approx(training.validate()[1], abs=1e-6)
    assert valued.accuracy_without == pytest.approx(training.validate(without=("s0", "s1"))[1], abs=1e-6)
    assert sum(valued.values) == pytest.approx(valued.accuracy_with - valued.accuracy_without, abs=1e-9)
    alone = training.validate(without=("s1",))[1] - training.validate(without=("s0", "s1"))[1]
    after = training.validate()[1] - training.validate(without=("s0",))[1]
    assert valued.values[0] == pytest.approx((alone + after) / 2, abs=1e-6)
