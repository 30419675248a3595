from collections.abc import Callable
from itertools import islice

from firedrill.campaign.branches import BRANCHES, branches
from firedrill.campaign.enumeration import FailAtEvery, failing_at, planted, series_of
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict

Make = Callable[..., CellResult]


def test_a_series_goes_on_until_its_operation_never_comes(result: Make) -> None:
    series = FailAtEvery("cpu")
    cells = series.cells()
    first, second = next(cells), next(cells)
    series.end(first, result())
    series.end(second, result(Verdict.NOT_INJECTED))
    assert [cell.scenario.name for cell in (first, second, next(cells))] == ["fail-at-snapshot-1", "fail-at-snapshot-2", "fail-at-verify-1"]


def test_a_rollback_has_its_cause_and_a_snapshot_is_needed_afterwards() -> None:
    steps = {name: [planned.at.step for planned in failing_at(name, 2, "cpu").scenario.faults] for name in ("restore", "snapshot")}
    assert steps == {"restore": [12, 12], "snapshot": [12, 13]}
    assert series_of(failing_at("restore", 2, "cpu")) == "restore"


def test_plants_come_one_after_another() -> None:
    assert [cell.scenario.tags for cell in islice(planted("cuda"), 2)] == [("generated", "enumerate")] * 2


def test_every_branch_is_a_scenario_that_the_door_lets_in() -> None:
    assert len({cell.id for cell in branches("cpu")}) == len(BRANCHES)
