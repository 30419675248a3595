"""What is put around what, and what is made of the results; the cells themselves are run by the test of the command."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.campaign.compare import ASKED, Column, Comparison, Ending, Measured, as_json, columns_of, contradicted
from firedrill.runner.result import CellResult
from firedrill.runner.timeline import Curve, Timeline
from firedrill.runner.verdict import Verdict
from firedrill.scenario.load import load_text
from firedrill.scenario.scenario import Scenario
from firedrill.scenario.subject import MECHANISMS
from firedrill.scenario.token import cell_of as cell_of_token
from firedrill.scenario.token import token_of

TEXT = """\
version: 1
name: mine
because: A NaN in a weight of a loop is undone.
subject: {kind: plain_loop, task: spirals, seed: 3, steps: 24}
faults:
  - {at: {step: 16}, do: tensor.set, target: {params: head.weight, pick: {index: 0}}, with: {value: nan}}
expect: [witnessed, {detected: {within: 1}}, told]
"""

Make = Callable[..., CellResult]


def loaded(*replaced: tuple[str, str]) -> Scenario:
    text = TEXT
    for old, new in replaced:
        text = text.replace(old, new)
    return load_text(text, Path("scenarios/mine.yaml"))


def test_a_scenario_of_one_loop_is_one_of_all_that_train_alike() -> None:
    columns = columns_of(loaded())
    assert columns == [Column(kind, name) for kind in ("plain_loop", "lightning", "transformers") for name in MECHANISMS[kind]]  # type: ignore[arg-type]
    assert len({*columns}) == len(columns) >= 6


def test_a_scaler_and_a_loop_of_ones_own_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {column.kind for column in columns_of(loaded(("kind: plain_loop", "kind: plain_loop, amp: true")))} == {"plain_loop"}
    monkeypatch.chdir(Path(__file__).parents[3])
    own = loaded(("kind: plain_loop, task: spirals", "loop: examples.drilled_loop:factory"))
    assert columns_of(own) == [Column("loop", "own"), Column("loop", "none")]


def test_nothing_is_put_around_growth() -> None:
    growth = loaded(("kind: plain_loop, ", ""), ("{step: 16}", "{step: 16, env: 0}"))
    assert not columns_of(growth)
    assert len(Comparison([growth])) == 0


def test_every_mechanism_is_asked_the_same() -> None:
    for cell in Comparison([loaded()]).cells():
        assert cell.scenario.oracles == ASKED
        assert cell.scenario.known_gap is None
        assert cell.seed == 3


def test_a_cell_can_be_replayed_by_its_token() -> None:
    for cell in Comparison([loaded()]).cells():
        assert cell_of_token(token_of(cell)).scenario.subject == cell.scenario.subject


def measured(result: Make, verdicts: dict[str, Verdict], loss: float | None = 0.1, scenario: Scenario | None = None) -> list[Measured]:
    """The comparison of a scenario in which these mechanisms of a plain loop were measured."""
    timeline = Timeline((Curve(0, (0, 1), (0.5, loss)),))
    comparison = Comparison([scenario or loaded()])
    return comparison.measured(
        [result(id=f"mine[cpu,seed=3,plain_loop+{name}]", verdict=verdict, timeline=timeline) for name, verdict in verdicts.items()]
    )


def test_only_what_was_finished_is_told(result: Make) -> None:
    (one,) = measured(result, {"zclip": Verdict.AVERTED})
    assert (str(one.column), one.ending, one.final_loss, one.named) == ("plain_loop+zclip", Ending.WELL, 0.1, False)


@pytest.mark.parametrize(
    ("verdict", "loss", "ending"),
    [
        (Verdict.MASKED, 0.1, Ending.WELL),
        (Verdict.FAIL_STOP, 0.1, Ending.STOPPED),
        (Verdict.FAIL_STOP, None, Ending.STOPPED_BROKEN),
        (Verdict.LOST_WORK, 0.1, Ending.HARMED),
        (Verdict.CRASHED, 0.1, Ending.HARMED),
        (Verdict.CONTROL_FAILED, 0.1, Ending.UNKNOWN),
        (Verdict.NOT_RUN, None, Ending.UNKNOWN),
    ],
)
def test_a_stop_is_worth_more_where_it_leaves_weights(result: Make, verdict: Verdict, loss: float | None, ending: Ending) -> None:
    (one,) = measured(result, {"none": verdict}, loss)
    assert one.ending is ending


def test_a_file_speaks_for_the_mechanism_that_it_names_and_for_no_other(result: Make) -> None:
    found = measured(result, {"tolaria": Verdict.MISSED, "none": Verdict.MISSED, "zclip": Verdict.RECOVERED})
    assert [str(one.column) for one in contradicted(found)] == ["plain_loop+tolaria"]
    subject = replace(loaded().subject, mechanism="none")
    of_none = measured(result, {"tolaria": Verdict.MISSED, "none": Verdict.MISSED}, scenario=replace(loaded(), subject=subject))
    assert [str(one.column) for one in contradicted(of_none)] == ["plain_loop+none"]


def test_the_file_holds_every_cell(result: Make) -> None:
    kept = json.loads(as_json(measured(result, {"tolaria": Verdict.RECOVERED, "none": Verdict.SILENT_CORRUPTION}, None)))
    assert kept["schema"] == "firedrill.compare/1"
    assert [(cell["column"], cell["verdict"], cell["ending"], cell["final_loss"]) for cell in kept["cells"]] == [
        ("plain_loop+tolaria", "recovered", "ends well", None),
        ("plain_loop+none", "silent_corruption", "does harm", None),
    ]
