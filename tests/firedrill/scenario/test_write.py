from pathlib import Path

import pytest

from firedrill.scenario.cell import Cell, cells, plan
from firedrill.scenario.load import load_all, load_text
from firedrill.scenario.write import document, flow, text

SCENARIOS = Path(__file__).parents[3] / "scenarios"


def every_cell() -> list[Cell]:
    scenarios, problems = load_all([SCENARIOS])
    assert problems == []
    return [cell for scenario in scenarios for cell in cells(scenario)]


@pytest.mark.parametrize("complete", [True, False])
def test_every_scenario_of_the_project_is_read_back_as_it_was(complete: bool) -> None:
    for cell in every_cell():
        again = load_text(text(document(cell, complete)), Path(f"scenarios/{cell.scenario.id}.yaml"))
        (read,) = cells(again)
        assert plan(read) == plan(cell)


def test_a_reader_sees_only_what_differs() -> None:
    (cell,) = cells(load_text(TINY, Path("scenarios/tiny.yaml")))
    assert text(document(cell)) == WRITTEN


def test_the_complete_text_holds_the_defaults_too() -> None:
    (cell,) = cells(load_text(TINY, Path("scenarios/tiny.yaml")))
    subject = document(cell, complete=True)["subject"]
    assert subject["governor"]["snapshots_kept"] == 3
    assert subject["batches_per_step"] == 10


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ("nan", '"nan"'),
        ("3", '"3"'),
        ("head.weight", "head.weight"),
        ("head.*", '"head.*"'),
        (True, "true"),
        (1e-7, "1e-07"),
        ({"a": [1, {"b": None}]}, "{a: [1, {b: null}]}"),
    ],
)
def test_values_are_written_so_that_they_stay_what_they_are(value: object, written: str) -> None:
    assert flow(value) == written


TINY = """\
version: 1
name: tiny
because: It is as small as a scenario can be.
subject: {steps: 4}
faults:
  - {at: {step: last}, do: tensor.set, target: {params: "head.*"}, with: {value: nan}}
expect: [told, {recovered: {within: 2 steps}}]
"""

WRITTEN = """\
version: 1
name: tiny
because: "It is as small as a scenario can be."
subject: {steps: 4, seed: 0, envs: 1}
faults:
  - {at: {step: 3, env: 0, phase: weights_updated}, do: tensor.set, target: {params: "head.*"}, with: {value: nan}}
expect:
  - told
  - {recovered: {within: 2}}
verdict: [recovered]
budget: {rollbacks: 1, wall: "60s"}
"""
