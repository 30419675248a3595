"""A small cell, and the folders that an executor records into."""

from collections.abc import Callable
from pathlib import Path

import pytest

from firedrill.runner.executors.executor import Work
from firedrill.scenario.cell import Cell, cells
from firedrill.scenario.load import load_text

SMALL = """\
version: 1
name: small
because: A NaN in a host of two is undone, and costs tenths of a second.
subject: {seed: 11, envs: 2, steps: 6, batches_per_step: 1, governor: {snapshot_every: 2, probation: 1}}
faults:
  - {at: {step: 4, env: 1}, do: tensor.set, target: {params: "head.*", pick: {index: 0}}, with: {value: nan}}
expect: [core, bystanders_untouched]
"""


@pytest.fixture
def small() -> Cell:
    """A cell that is rolled back once."""
    return cells(load_text(SMALL, Path("scenarios/small.yaml")))[0]


@pytest.fixture
def endless() -> Cell:
    """A cell that its watchdog has to end."""
    text = SMALL.replace("steps: 6, batches_per_step: 1", "steps: 9000, batches_per_step: 900")
    return cells(load_text(f"{text}budget: {{wall: 0.3s}}\n", Path("scenarios/small.yaml")))[0]


@pytest.fixture
def works(tmp_path: Path) -> Callable[..., list[Work]]:
    """Each cell with a folder of its own."""

    def made(*cells: Cell) -> list[Work]:
        folders = [tmp_path / f"cell-{number}" for number in range(len(cells))]
        for folder in folders:
            folder.mkdir()
        return [Work(number, cell, folder) for number, (cell, folder) in enumerate(zip(cells, folders, strict=True))]

    return made
