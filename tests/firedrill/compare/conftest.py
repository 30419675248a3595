"""Facts of one cell as a run leaves them, to be changed in one place at a time."""

import pytest

from firedrill.compare.facts import CellFacts, Facts

CELL = CellFacts(
    scenario="nan-weight",
    device="cpu",
    generated=False,
    verdict="recovered",
    failed=False,
    answers={"keys_matched": "pass", "twin": "unknown"},
    rollbacks=1,
    penalty=-10.0,
    digest="ab",
    log_loss=-2.0,
)


@pytest.fixture
def cell() -> CellFacts:
    """A cell that recovered."""
    return CELL


@pytest.fixture
def base() -> Facts:
    """A run of that one cell."""
    return Facts("linux-x86_64-2-cores", "4be1c99", {"torch": "2.13.0"}, {"nan-weight[cpu,seed=1]": CELL})
