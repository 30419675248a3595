"""The folder of a cell as its recording left it."""

from pathlib import Path

import pytest

from firedrill.runner.cell import record
from firedrill.scenario.cell import Cell


@pytest.fixture
def recorded(small: Cell, tmp_path: Path) -> Path:
    """The folder of the small cell, recorded in this very process."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    record(small, folder)
    return folder
