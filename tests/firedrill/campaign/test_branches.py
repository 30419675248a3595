import pytest

from firedrill.campaign.branches import branches
from firedrill.runner.run import run_cells


@pytest.mark.nightly
def test_every_branch_comes_to_what_is_said_of_it() -> None:
    """A detector that is changed on purpose may no longer answer to what was planted for it."""
    results = run_cells(branches("cpu"), jobs=2, on_result=lambda _: None)
    assert [(result.id, result.verdict, result.reason) for result in results if not result.passed] == []
