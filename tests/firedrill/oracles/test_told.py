from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.oracles.oracle import Answer, Evidence, of
from firedrill.oracles.told import Told
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack
from tolaria.telemetry.run_events import RunAborted

Edit = Callable[..., Evidence]


def test_a_collapse_without_a_rollback_fails(drop: Edit) -> None:
    assert Told().judge(drop(RolledBack)).detail == "env 1 step 5: 1 collapses and 0 rollbacks told"


def test_a_rollback_without_a_collapse_fails(drop: Edit) -> None:
    assert Told().judge(drop(Collapsed)).detail == "env 1 step 5: 0 collapses and 1 rollbacks told"


def test_a_rollback_that_is_told_twice_fails(add: Edit, healed: Evidence) -> None:
    assert Told().judge(add(of(healed.faulted, RolledBack)[0])).answer is Answer.FAIL


@pytest.mark.parametrize("end", [EnvironmentRetired(Point(9, 1), 1, "spent"), RunAborted(Point(9, 1), "RollbackFailed", "no snapshot")])
def test_the_last_collapse_needs_no_rollback(add: Edit, end: EnvironmentRetired | RunAborted) -> None:
    last = Collapsed(Point(9, 1), "non_finite", None, None, 0, "parameters")
    assert Told().judge(add(last, end)).answer is Answer.PASS


@pytest.mark.parametrize("field", ["loss", "threshold", "mean", "spread"])
def test_a_number_that_is_not_finite_fails(edit: Edit, healed: Evidence, field: str) -> None:
    decision = replace(of(healed.faulted, RolledBack)[0].decision, **{field: float("nan")})
    assert Told().judge(edit(RolledBack, decision=decision)).detail == f"env 1 step 5: {field} is nan, which should be None"


def test_a_recent_loss_that_is_not_finite_fails(edit: Edit, healed: Evidence) -> None:
    decision = replace(of(healed.faulted, RolledBack)[0].decision, recent=(0.5, float("inf")))
    assert Told().judge(edit(RolledBack, decision=decision)).key == "incomplete"


@pytest.mark.parametrize("changes", [{"streak": -1}, {"cause": ""}])
def test_a_decision_without_sense_fails(edit: Edit, healed: Evidence, changes: dict[str, object]) -> None:
    decision = replace(of(healed.faulted, RolledBack)[0].decision, **changes)
    assert Told().judge(edit(RolledBack, decision=decision)).key == "incomplete"


@pytest.mark.parametrize("ages", [(), (2, -1)])
def test_missing_ages_of_snapshots_fail(edit: Edit, ages: tuple[int, ...]) -> None:
    assert Told().judge(edit(RolledBack, snapshot_ages=ages)).key == "incomplete"
