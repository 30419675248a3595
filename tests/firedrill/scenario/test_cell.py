import json

from firedrill.scenario.cell import cells, plan
from firedrill.scenario.load import load

from .conftest import Write


def ids(write: Write, matrix: str) -> list[str]:
    return [cell.id.removeprefix("governor/nan-weight") for cell in cells(load(write(more=f"matrix: {matrix}\n")))]


def test_without_a_matrix_there_is_one_cell(write: Write) -> None:
    assert [cell.id for cell in cells(load(write()))] == ["governor/nan-weight[cpu,seed=11]"]


def test_every_device_goes_with_every_seed(write: Write) -> None:
    assert ids(write, "{device: [cpu, cuda], seed: [1, 2]}") == ["[cpu,seed=1]", "[cpu,seed=2]", "[cuda,seed=1]", "[cuda,seed=2]"]


def test_what_is_excluded_goes_and_what_is_included_comes(write: Write) -> None:
    matrix = "{device: [cpu, cuda], seed: [1, 2], exclude: [{device: cuda, seed: 2}, {seed: 1}], include: [{seed: 9}]}"
    assert ids(write, matrix) == ["[cpu,seed=2]", "[cpu,seed=9]"]


def test_a_combination_comes_once(write: Write) -> None:
    assert ids(write, "{seed: [1, 1], include: [{device: cpu, seed: 1}]}") == ["[cpu,seed=1]"]


def test_a_plan_is_resolved_json(write: Write) -> None:
    (cell,) = cells(load(write(("value: nan", "value: -inf"))))
    resolved = json.loads(json.dumps(plan(cell), allow_nan=False))
    (fault,) = resolved["faults"]
    assert fault["with"] == {"value": "-inf"}
    assert (fault["at"]["phase"], fault["strikes"]) == ("weights_updated", 1)
    assert resolved["subject"]["seed"] == 11
    assert {"detected": {"within": 1, "cause": "non_finite"}} in resolved["expect"]
