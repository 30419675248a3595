"""A cell that hangs, and the folders that an executor records into."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from firedrill.runner.executors.executor import Work
from firedrill.scenario.cell import Cell
from firedrill.scenario.scenario import Budget


@pytest.fixture
def endless(small: Cell) -> Cell:
    """A cell that its watchdog has to end."""
    subject = replace(small.scenario.subject, steps=9000, batches_per_step=900)
    return replace(small, scenario=replace(small.scenario, subject=subject, budget=Budget(wall=0.3)))


@pytest.fixture
def works(tmp_path: Path) -> Callable[..., list[Work]]:
    """Each cell with a folder of its own."""

    def made(*cells: Cell) -> list[Work]:
        folders = [tmp_path / f"cell-{number}" for number in range(len(cells))]
        for folder in folders:
            folder.mkdir()
        return [Work(number, cell, folder) for number, (cell, folder) in enumerate(zip(cells, folders, strict=True))]

    return made
