import json

import pytest

from firedrill.runner.marks import MARKS, marks_of
from tolaria.governor.config import DETECTOR_NAMES
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import (
    Collapsed,
    Decision,
    EnvironmentRetired,
    PenaltyDelivered,
    Remedy,
    RolledBack,
    Rung,
    SnapshotRefused,
    SnapshotTaken,
    SnapshotTrusted,
    SnapshotWithdrawn,
    Suspected,
    UpdateGated,
    Work,
)
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import RunAborted, RunStarted, StepFinished

COUNTS = {"snapshot_every": 3, "window": 4, "budget": 2, "budget_window": 6, "relapse_steps": 1, "grace_steps": 2, "samples_min": 10}
SETTINGS = COUNTS | {"detectors": "classic", "rewind": True, "live_seeds": "restore"}
# Where a mark needs another setting.
OTHERWISE = {f"detector confirmed_{name}": {"detectors": "default"} for name in ("lobotomy", "explosion")}


def started(mark: str = "") -> RunStarted:
    return RunStarted(Point(0), 7, json.dumps({"governor": SETTINGS | OTHERWISE.get(mark, {})}), "", (), ("s0",), 0.7)


def at(step: int) -> Point:
    return Point(step, 1)


def finished(*steps: int) -> list[Event]:
    return [StepFinished(at(step), "wait", "", True, 0.5, 0.5, 0.5, 1.0, 0.0) for step in steps]


def taken(step: int, reason: str = "cadence", digest: str = "d") -> SnapshotTaken:
    return SnapshotTaken(at(step), step, digest, 8, reason)


def suspected(step: int, streak: int = 1, cause: str = "loss_outlier") -> Suspected:
    return Suspected(at(step), cause, 9.0, 3.0, streak)


def collapsed(step: int, streak: int = 1, cause: str = "non_finite") -> Collapsed:
    return Collapsed(at(step), cause, None, None, streak, "")


def rolled(step: int, attempts: int = 1, policy: str = "reset", pruned: tuple[str, ...] = (), rung: Rung = Rung.NEWEST) -> RolledBack:
    decision = Decision("non_finite", None, None, None, None, 1, (), (1,))
    return RolledBack(at(step), 0, 0, decision, pruned, policy, Remedy(rung, None, None), Work(attempts, 8), 1)


def taken_away(step: int) -> StageChanged:
    return StageChanged(at(step), "s0", 1, "norm", Stage.BLENDING, Stage.PRUNED, "rollback", "governor")


# Just enough of a history for each mark.
SHOWN: dict[str, list[Event]] = {
    "snapshot taken at the begin": [taken(0, "begin")],
    "snapshot taken when due": [taken(3)],
    "snapshot taken after a commit": [taken(2, "fossilized")],
    "snapshot sealed later": [taken(3, digest="")],
    "snapshot trusted": [SnapshotTrusted(at(4), 3)],
    "snapshot refused, not finite": [SnapshotRefused(at(3), "NotFinite: head")],
    "snapshot refused by an error": [SnapshotRefused(at(3), "MemoryError: no")],
    "snapshot put off, no room": [taken(0, "begin"), *finished(1, 2, 3)],
    "snapshot frozen by a suspicion": [taken(0, "begin"), *finished(1, 2, 3), suspected(3)],
    "suspicion": [suspected(3)],
    "suspicion cleared": [*finished(1, 2), suspected(1)],
    "suspicion accepted as the new level": [suspected(3, streak=4)],
    "collapse at once": [collapsed(5)],
    "collapse after several alarms": [collapsed(5, streak=3)],
    "rollback at the first attempt": [rolled(5)],
    "rollback at the second attempt": [rolled(5, attempts=2)],
    "rollback to an older snapshot": [rolled(5, attempts=3)],
    "rollback after a relapse": [rolled(5), rolled(6)],
    "rollback prunes a seed": [rolled(5, pruned=("s0",))],
    "rollback undoes a commit": [SlotRestored(at(5), "s0", 1, Stage.FOSSILIZED, Stage.HOLDING)],
    "rollback takes a blended seed": [taken_away(5)],
    "rollback forgotten by the budget": [rolled(5), rolled(11)],
    "rollback impossible": [*finished(1), RunAborted(Point(5), "tolaria.errors.RollbackFailed", "no")],
    "grace: an alarm only suspects": [taken_away(5), suspected(7)],
    "grace: a NaN collapses all the same": [taken_away(5), collapsed(6)],
    "penalty owed": [PenaltyDelivered(at(5), -10.0, 5)],
    "retired, budget spent": [collapsed(5), EnvironmentRetired(at(5), 2, "two")],
    "retired, its step raised": [EnvironmentRetired(at(5), 0, "RuntimeError")],
    "a detector failed": [collapsed(5, cause="detector_failed")],
    "optimizer policy reset": [rolled(5)],
    "optimizer policy reset_all": [rolled(5, policy="reset_all")],
    "optimizer policy restore": [rolled(5, policy="restore")],
    "optimizer policy rewarm": [rolled(5, policy="rewarm")],
    **{f"detector {name}": [collapsed(5, cause=name)] for name in DETECTOR_NAMES},
    "detector early_explosion": [suspected(9, cause="loss_explosion")],
    "detector loss_explosion": [suspected(10, cause="loss_explosion")],
    "detector confirmed_explosion": [suspected(10, cause="loss_explosion")],
    "detector lobotomy": [suspected(10, cause="lobotomy")],
    "detector confirmed_lobotomy": [suspected(10, cause="lobotomy")],
    "recovery failed": [suspected(10, cause="recovery_failed")],
    **{f"rung {rung}": [rolled(5, rung=rung)] for rung in Rung},
    "rollback rewinds": [rolled(5)],
    "rollback brings seeds back": [rolled(5)],
    "update gated": [UpdateGated(at(5), 4)],
    "snapshot withdrawn": [SnapshotWithdrawn(at(5), 3, 4)],
}


@pytest.mark.parametrize("name", MARKS)
def test_a_history_that_shows_a_branch_hits_its_mark(name: str) -> None:
    assert name in marks_of([started(name), *SHOWN[name]])


@pytest.mark.parametrize("name", MARKS)
def test_a_quiet_history_hits_no_mark(name: str) -> None:
    assert name not in marks_of([started(), *finished(0, 1, 2)])


def test_a_snapshot_in_time_was_not_put_off() -> None:
    assert "snapshot put off, no room" not in marks_of([started(), taken(0, "begin"), *finished(1, 2), taken(3), *finished(3, 4, 5)])


def test_after_the_grace_an_alarm_is_an_alarm() -> None:
    assert "grace: an alarm only suspects" not in marks_of([started(), taken_away(5), suspected(8)])


def test_a_history_without_a_beginning_hits_nothing() -> None:
    assert marks_of([collapsed(5)]) == ()


def test_a_loop_with_another_mechanism_takes_no_branch_of_the_governor() -> None:
    foreign = RunStarted(Point(0), 7, json.dumps({"governor": None}), "", (), (), 0.7)
    told = SnapshotTaken(Point(0, 0), 0, "", 8, "begin")
    assert marks_of((started(), told)) == ("snapshot taken at the begin", "snapshot sealed later")
    assert marks_of((foreign, told)) == ()
