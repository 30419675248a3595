import json
from collections.abc import Callable
from dataclasses import replace

from tolaria.bench.grow.record import to_json
from tolaria.bench.grow.sheet import Sheet


def test_a_file_holds_every_run_and_what_the_table_says(make_sheet: Callable[..., Sheet]) -> None:
    read = json.loads(to_json([make_sheet()], complete=True, commit="abc"))
    assert (read["commit"], read["complete"]) == ("abc", True)
    task = read["tasks"]["spirals"]
    assert len(task["runs"]) == 3 * 6
    assert task["regime"]["open"] is True
    assert task["returns"]["misordered"] == []
    assert {"arm", "against", "mean", "low", "high", "verdict"} == set(task["differences"][0])


def test_a_part_of_an_experiment_is_a_file_as_well(make_sheet: Callable[..., Sheet]) -> None:
    read = json.loads(to_json([replace(make_sheet(), runs=())], complete=False, commit="abc"))
    assert read["complete"] is False
    assert read["tasks"]["spirals"]["runs"] == []


def test_a_long_curve_is_thinned(make_sheet: Callable[..., Sheet]) -> None:
    sheet = make_sheet()
    long = replace(sheet.runs[-1], curve=tuple((step, 0.5) for step in range(1000)))
    read = json.loads(to_json([replace(sheet, runs=(*sheet.runs[:-1], long))], complete=True, commit=""))
    assert len(read["tasks"]["spirals"]["runs"][-1]["curve"]) < 100
