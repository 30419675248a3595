import json

import pytest

from tolaria.bench.credit.plan import Bar
from tolaria.bench.credit.report import to_json, told
from tolaria.bench.credit.toxic import CLEAR, CONTROL, ToxicCell, ToxicRun
from tolaria.bench.credit.toxic_bars import toxic_bars, toxic_cells


def run_of(arm: str, seed: int, good: int, toxic: int) -> ToxicRun:
    """A run with so many germinations of all 16 environments in every update."""
    return ToxicRun(ToxicCell(arm, seed), (good,) * 20, (toxic,) * 20, (toxic,) * 20, 90.0)


def runs_of(seeds: int = 2) -> list[ToxicRun]:
    """As it should be."""
    return [run_of(cell.arm, cell.seed, *{"shipped": (32, 0), CONTROL: (48, 16), CLEAR: (32, 16)}[cell.arm]) for cell in toxic_cells(seeds)]


def held(runs: list[ToxicRun]) -> list[bool | None]:
    return [bar.holds for bar in toxic_bars(runs, 2)]


def test_everything_holds_where_everything_is_as_it_should_be() -> None:
    assert held(runs_of()) == [True, True, True]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (run_of("shipped", 1, 98, 2), [True, True, True]),
        (run_of("shipped", 1, 97, 3), [False, True, True]),
        (run_of("shipped", 1, 0, 0), [False, False, True]),
        (run_of("shipped", 1, 32, 0), [True, True, True]),
        (run_of("shipped", 1, 31, 0), [True, False, True]),
        (run_of(CONTROL, 1, 0, 64), [True, True, True]),
        (run_of(CONTROL, 1, 0, 0), [True, True, True]),
        (run_of(CLEAR, 1, 40, 7), [True, True, False]),
        (run_of(CLEAR, 1, 0, 0), [True, True, False]),
    ],
)
def test_one_seed_that_is_otherwise_misses_its_bar(changed: ToxicRun, expected: list[bool]) -> None:
    runs = [changed if run.cell == changed.cell else run for run in runs_of()]
    assert held(runs) == expected


def test_a_bar_is_open_until_all_of_its_runs_are_made() -> None:
    assert held(runs_of(1)) == [None, None, None]
    assert toxic_bars([], 2)[0] == Bar("toxic: shipped germinates at most 2 % toxic seeds in every seed", "not run", None)


def test_the_table_and_the_file_have_every_arm() -> None:
    runs = runs_of()
    lines = list(told([], [], toxic_bars(runs, 2), runs))
    assert next(line for line in lines if line.startswith(CONTROL)).split() == [CONTROL, "2", "0.250", "0.250", "3.00", "1.00", "90"]
    assert any(line.startswith("holds   toxic: shipped") for line in lines)
    value = json.loads(to_json([], [], toxic_bars(runs, 2), complete=True, toxic=runs))
    assert [(run["cell"]["arm"], run["cell"]["seed"]) for run in value["toxic"]] == [
        (arm, seed) for arm in ("shipped", CONTROL, CLEAR) for seed in (0, 1)
    ]
