import json

from tolaria.bench.credit.bait import BaitConfig
from tolaria.bench.credit.cells import Cell, Run
from tolaria.bench.credit.first_update import Fall
from tolaria.bench.credit.plan import Bar
from tolaria.bench.credit.report import rows, to_json, told


def run_of(arm: str, seed: int, count: int, memory: str = "none") -> Run:
    return Run(Cell("delay-5", arm, memory, seed, BaitConfig()), (count,) * 120, (16,) * 120, (), None, 1.0, 2.0)


RUNS = [run_of("clear", 1, 128), run_of("shipped", 0, 0, "lstm"), run_of("shipped", 0, 0), run_of("clear", 0, 96)]
BARS = [Bar("it learns", "0.01", True), Bar("it is quick", "99", False), Bar("it is long", "not run", None)]


def test_arms_stand_in_the_order_of_their_table_and_seeds_in_theirs() -> None:
    found = [(memory, arm, [run.cell.seed for run in runs]) for _, memory, arm, runs in rows(RUNS)]
    assert found == [("none", "shipped", [0]), ("none", "clear", [0, 1]), ("lstm", "shipped", [0])]


def test_a_table_has_mean_and_worst_and_bars_say_what_they_came_to() -> None:
    lines = list(told(RUNS, [Fall("clear", 20, 7)], BARS))
    assert next(line for line in lines if " clear " in line).split() == ["delay-5", "MLP", "clear", "2", "7.000", "8.000", "1.00", "2.0"]
    assert any(line.endswith(" 7 of 20 seeds with clear") for line in lines)
    assert lines[-3:] == ["holds   it learns: 0.01", "MISSED  it is quick: 99", "open    it is long: not run"]


def test_the_file_has_every_run_with_its_counts() -> None:
    value = json.loads(to_json(RUNS, [], BARS, complete=False))
    assert value["complete"] is False
    assert [run["settled_collapses"] for run in value["runs"]] == [0.0, 6.0, 8.0, 0.0]
    assert value["runs"][1]["cell"]["world"]["delay"] == 5
