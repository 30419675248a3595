from pathlib import Path

import pytest

from tolaria.bench.credit.bait import BaitConfig
from tolaria.bench.credit.cells import Cell, Run

picture = pytest.importorskip("tolaria.bench.credit.picture", exc_type=ModuleNotFoundError)


def test_a_curve_is_averaged_over_what_came_before() -> None:
    assert picture.smoothed([16, 48, 32, 32, 32, 32]) == [1.0, 2.0, 2.0, 2.0, 2.0, 2.2]


def test_runs_of_several_questions_are_drawn(tmp_path: Path) -> None:
    world = BaitConfig()
    runs = [
        Run(Cell(question, "shipped", memory, 0, world), (3, 2, 1), (4, 4, 4), (), None, None, 1.0)
        for question, memory in (("delay-5", "none"), ("delay-5", "lstm"), ("unavoidable", "none"))
    ]
    picture.draw(runs, tmp_path / "credit.png")
    assert (tmp_path / "credit.png").stat().st_size > 10_000
