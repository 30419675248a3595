"""What is refused where a loop is trained that is not ours, and at which place of the file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from firedrill.faults import FAULTS
from firedrill.scenario.cell import cells
from firedrill.scenario.load import InvalidScenario, load_text
from firedrill.scenario.loop_checks import LOOP_PHASES, OF_GROWTH, UNASKED
from firedrill.scenario.problem import Problem
from firedrill.scenario.subject import Subject
from firedrill.scenario.token import cell_of, token_of

GOOD = """\
version: 1
name: mine
because: A weight that becomes NaN must be noticed and undone.
subject: {kind: plain_loop, task: digits, seed: 3, steps: 20}
faults:
  - at: {step: 8}
    do: tensor.set
    target: {params: "head.*", pick: {index: 0}}
    with: {value: nan}
expect:
  - witnessed
"""

Refused = Callable[..., Problem]


@pytest.fixture
def refused() -> Refused:
    """The only problem of the good text with some of it replaced."""

    def only(*replacements: tuple[str, str]) -> Problem:
        text = GOOD
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new)
        with pytest.raises(InvalidScenario) as raised:
            load_text(text, Path("scenarios/mine.yaml"))
        (problem,) = raised.value.problems
        return problem

    return only


def place(problem: Problem) -> str:
    """The word at which a problem points."""
    return problem.text[problem.column - 1 :]


def test_a_good_loop_is_let_in_and_so_is_its_token() -> None:
    cell = cells(load_text(GOOD, Path("scenarios/mine.yaml")))[0]
    assert cell.scenario.subject == Subject(kind="plain_loop", task="digits", seed=3, steps=20)
    assert cell.scenario.subject.guard == "tolaria"
    assert cell_of(token_of(cell)).scenario.subject == cell.scenario.subject


GIVEN = {
    "envs": "2",
    "policy": "heuristic",
    "script": "[{step: 1, op: wait}]",
    "rollout_steps": "5",
    "batches_per_step": "3",
    "gates": "{prune_age_min: 7}",
    "gate": "true",
    "backend": "stacked",
    "width": "64",
    "checkpoint_every": "5",
}


def test_whatever_of_growth_can_be_said_is_refused() -> None:
    assert set(GIVEN) == set(OF_GROWTH)


@pytest.mark.parametrize("key", OF_GROWTH)
def test_a_loop_has_nothing_of_growth(refused: Refused, key: str) -> None:
    more = [("{step: 8}", "{step: 8, env: 0}")] if key == "envs" else []
    problem = refused(("seed: 3", f"seed: 3, {key}: {GIVEN[key]}"), *more)
    assert (problem.code, problem.message) == ("FD010", OF_GROWTH[key])
    assert place(problem).startswith(f"{key}:")


@pytest.mark.parametrize("oracle", UNASKED)
def test_what_a_loop_cannot_be_asked_is_refused_with_a_sentence(refused: Refused, oracle: str) -> None:
    asked = "twin: {steps: 3}" if oracle == "twin" else oracle
    problem = refused(("- witnessed", f"- {asked}"))
    assert problem.message == f"{oracle} cannot be asked here: {UNASKED[oracle]}"
    assert problem.line == 11


def test_a_loop_has_no_slots(refused: Refused) -> None:
    problem = refused(('{params: "head.*", pick: {index: 0}}', "{slot: s0}"))
    assert (problem.code, problem.message) == ("FD017", "a loop has no slots")
    assert refused(('"head.*"', "slots.s0.*")).code == "FD017"


def test_a_selector_must_fit_the_network(refused: Refused) -> None:
    problem = refused(('"head.*"', "haed.weight"))
    assert (problem.code, problem.suggestion) == ("FD017", "head.weight")


@pytest.mark.parametrize("key", ["rewind: true", "live_seeds: restore", "optimizer: rewarm"])
def test_what_a_plain_loop_does_not_promise_is_refused(refused: Refused, key: str) -> None:
    problem = refused(("seed: 3", f"seed: 3, governor: {{{key}}}"))
    assert (problem.code, place(problem).partition("}")[0]) == ("FD013", key.partition(": ")[2])


def test_an_unknown_mechanism_is_answered_with_the_nearest(refused: Refused) -> None:
    problem = refused(("kind: plain_loop", "kind: lightning"), ("seed: 3", "seed: 3, mechanism: clip_norm"))
    assert problem.message == "nothing around a lightning is called clip_norm"
    assert "gradient_clip_val" in problem.expected


def test_a_scaler_is_where_there_is_amp(refused: Refused) -> None:
    target = '    target: {params: "head.*", pick: {index: 0}}\n'
    problem = refused(("tensor.set", "amp.scale"), (target, ""))
    assert problem.message == "there is no scaler to strike"
    assert refused(("kind: plain_loop", "kind: transformers"), ("seed: 3", "seed: 3, amp: true")).code == "FD010"


def test_tolarias_own_training_has_no_mechanism_of_others_and_no_scaler(refused: Refused) -> None:
    growth = ("kind: plain_loop, task: digits", "task: digits, mechanism: zclip")
    assert refused(growth).message == "mechanism belongs to a loop that is not ours"
    target = '    target: {params: "head.*", pick: {index: 0}}\n'
    assert refused(("kind: plain_loop, ", ""), ("tensor.set", "amp.scale"), (target, "")).code == "FD016"


@pytest.mark.parametrize(
    ("fault", "more"),
    [("reward.nan", ""), ("lifecycle.prune", "{slot: s0}"), ("governor.raise_in", ""), ("snapshot.corrupt", ""), ("loss.drift", "")],
)
def test_a_fault_that_has_nothing_to_strike_is_refused(fault: str, more: str) -> None:
    given = {"governor.raise_in": "{operation: snapshot}", "loss.drift": "{rate: 1.2, since: 3}"}.get(fault, "")
    text = GOOD.replace("tensor.set", fault).replace('{params: "head.*", pick: {index: 0}}', more)
    text = text if more else text.replace("    target: \n", "")
    text = text.replace("    with: {value: nan}\n", f"    with: {given}\n" if given else "")
    with pytest.raises(InvalidScenario, match=rf"{fault} has nothing to strike in a loop"):
        load_text(text, Path("scenarios/mine.yaml"))


def test_a_phase_that_a_loop_does_not_have_is_refused(refused: Refused) -> None:
    problem = refused(("{step: 8}", "{step: 8, phase: action_applied}"))
    assert (problem.code, problem.message) == ("FD016", "action_applied never comes in a loop")


def test_a_step_of_a_loop_has_one_batch_and_no_reward(refused: Refused) -> None:
    assert refused(("{step: 8}", "{step: 8, batch: 1}")).code == "FD016"
    assert refused(("{step: 8}", "{condition: {metric: reward, above: 0.1}}")).message == "a loop has no reward"


def test_most_faults_can_strike_a_loop() -> None:
    able = {kind for kind, fault in FAULTS.items() if {*fault.phases} & {*LOOP_PHASES} and not kind.startswith("lifecycle.")}
    assert able >= {"tensor.set", "tensor.flip_bit", "loss.scale", "grad.explode", "optim.poison", "optim.lr_spike", "data.poison"}


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("loop: examples.drilled_loop:facotry", "examples.drilled_loop defines no facotry"),
        ("loop: examples.no_loop:factory", "there is no module no_loop in examples"),
        ("loop: factory", "factory names no factory"),
        ("kind: loop", "which loop?"),
        ("loop: examples.drilled_loop:factory, task: digits", "the task of your own loop is its own affair"),
        ("kind: plain_loop, loop: examples.drilled_loop:factory", "plain_loop is not a loop of your own"),
    ],
)
def test_a_loop_of_ones_own_must_be_there(refused: Refused, monkeypatch: pytest.MonkeyPatch, subject: str, message: str) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    problem = refused(("kind: plain_loop, task: digits", subject))
    assert problem.message == message
    assert problem.line == 4


def test_nothing_is_known_of_the_tensors_of_somebody_elses_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    text = GOOD.replace("kind: plain_loop, task: digits", "loop: examples.drilled_loop:factory").replace("head.*", "any.thing")
    subject = load_text(text, Path("scenarios/mine.yaml")).subject
    assert (subject.kind, subject.guard) == ("loop", "own")
