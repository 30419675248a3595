from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.oracles.oracle import Answer, Evidence, of
from firedrill.oracles.told import Told
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import Collapsed, Ease, EnvironmentRetired, Probe, Remedy, RolledBack, Rung, SnapshotTaken, Work
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
def test_missing_ages_of_snapshots_fail(edit: Edit, healed: Evidence, ages: tuple[int, ...]) -> None:
    decision = replace(of(healed.faulted, RolledBack)[0].decision, snapshot_ages=ages)
    assert Told().judge(edit(RolledBack, decision=decision)).key == "incomplete"


def test_a_decision_without_recent_losses_fails(edit: Edit, healed: Evidence) -> None:
    decision = replace(of(healed.faulted, RolledBack)[0].decision, recent=())
    assert Told().judge(edit(RolledBack, decision=decision)).detail == "env 1 step 5: no recent losses"


@pytest.mark.parametrize(
    ("remedy", "sentence"),
    [
        (Remedy(Rung.EASED, None, None), "the rung is eased, the ease is None"),
        (Remedy(Rung.NEWEST, Ease(0.5, 1), None), "the rung is newest, the ease is Ease(lr_scale=0.5, skipped_batches=1)"),
        (Remedy(Rung.EASED, Ease(0.0, 1), None), "the ease is Ease(lr_scale=0.0, skipped_batches=1)"),
        (Remedy(Rung.EASED, Ease(0.5, -1), None), "the ease is Ease(lr_scale=0.5, skipped_batches=-1)"),
        (Remedy(Rung.NEWEST, None, Probe(float("nan"), 0.1)), "probe.loss is nan, which should be None"),
        (Remedy(Rung.RETIRED, None, None), "the rung is retired, which is not what became of the environment"),
        (Remedy(Rung.OLDER, None, None), "the rung is older, snapshot 1 was restored and 1 was the newest trusted"),
    ],
)
def test_a_remedy_that_makes_no_sense_fails(edit: Edit, remedy: Remedy, sentence: str) -> None:
    assert Told().judge(edit(RolledBack, remedy=remedy)).detail == f"env 1 step 5: {sentence}"


def test_an_environment_that_is_retired_by_a_rollback_is_on_the_last_rung(add: Edit, edit: Edit) -> None:
    end = EnvironmentRetired(Point(5, 1), 4, "spent")
    assert Told().judge(add(end)).detail == "env 1 step 5: the rung is newest, which is not what became of the environment"
    ended = edit(RolledBack, remedy=Remedy(Rung.RETIRED, None, None))
    assert Told().judge(replace(ended, faulted=(*ended.faulted, end))).answer is Answer.PASS


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"work": Work(0, 100)}, "0 attempts"),
        ({"work": Work(1, 99)}, "snapshot 1 was 100 bytes of step 3, not 99 bytes of step 3"),
        ({"snapshot_step": 2}, "snapshot 1 was 100 bytes of step 3, not 100 bytes of step 2"),
    ],
)
def test_an_account_that_disagrees_with_the_snapshot_fails(edit: Edit, changes: dict[str, object], sentence: str) -> None:
    assert Told().judge(edit(RolledBack, **changes)).detail == f"env 1 step 5: {sentence}"


def test_a_rollback_to_what_an_earlier_one_has_undone_fails(add: Edit) -> None:
    """Snapshot 2 of step 4 was dropped with the rollback of step 5 to that of step 3."""
    evidence = add(SnapshotTaken(Point(4, 1), 2, "", 100, "cadence"))
    first = of(evidence.faulted, RolledBack)[0]
    collapse = of(evidence.faulted, Collapsed)[0]
    again = [replace(collapse, at=Point(9, 1)), replace(first, at=Point(9, 1), snapshot=2, snapshot_step=4)]
    finding = Told().judge(replace(evidence, faulted=(*evidence.faulted, *again)))
    assert finding.detail == "env 1 step 9: snapshot 2 is of a future that an earlier rollback undid"


def test_a_decision_that_is_not_the_collapse_that_was_told_fails(edit: Edit) -> None:
    finding = Told().judge(edit(Collapsed, streak=3))
    assert finding.detail == "env 1 step 5: decided for non_finite, but the collapse was told otherwise"
