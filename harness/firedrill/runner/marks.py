"""Marks: one for every branch of the governor that a history can show, and how the history shows it.

The governor itself carries no marks, so they cost a run nothing. What is judged here is only whether a branch was taken,
never whether it was right; that is for oracles.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tolaria.governor.config import DETECTOR_FAILED, DETECTOR_NAMES, OPTIMIZER_POLICIES, RECOVERY_FAILED, SUITES
from tolaria.lifecycle.stage import Stage
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import (
    Collapsed,
    EnvironmentRetired,
    PenaltyDelivered,
    RolledBack,
    Rung,
    SnapshotRefused,
    SnapshotTaken,
    SnapshotTrusted,
    SnapshotWithdrawn,
    Suspected,
    UpdateGated,
)
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import RunAborted, RunStarted, StepFinished

BLENDED = frozenset({Stage.BLENDING, Stage.HOLDING})


@dataclass(frozen=True, slots=True)
class Life:
    """One environment's events, in their order, and the governor's settings."""

    events: tuple[Event, ...]
    settings: dict[str, Any]  # The configuration as a history tells it, which is JSON.

    def of(self, *kinds: type[Event]) -> Iterator[Any]:  # Of the kinds that were asked for.
        """The events of these kinds."""
        return (event for event in self.events if isinstance(event, kinds))

    def standings(self) -> dict[int, str]:
        """What was said of each finished step, by its number."""
        said = {event.at.step: "healthy" for event in self.of(StepFinished)}
        said |= {event.at.step: "suspect" for event in self.of(Suspected)}
        return said | {event.at.step: "collapsed" for event in self.of(Collapsed)}


Shows = Callable[[Life], bool]


def _tells(kind: type[Event], **fields: object) -> Shows:
    return lambda life: any(all(getattr(event, name) == value for name, value in fields.items()) for event in life.of(kind))


def _attempts(least: int, most: int) -> Shows:
    return lambda life: any(least <= event.work.attempts <= most for event in life.of(RolledBack))


def _detector(name: str) -> Shows:
    return lambda life: any(event.cause == name for event in life.of(Collapsed, Suspected))


def _explosion(early: bool, by: str = "") -> Shows:
    """One cause of several detectors: the early one is awake while there are too few samples for the others, of which a suite holds one."""

    def shows(life: Life) -> bool:
        steps = [event.at.step for event in life.of(Collapsed, Suspected) if event.cause == "loss_explosion"]
        return (early or _suite_holds(by, life)) and any((step < life.settings["samples_min"]) is early for step in steps)

    return shows


def _lobotomy(by: str) -> Shows:
    """One cause of two detectors; a suite holds one of them."""
    return lambda life: _suite_holds(by, life) and _detector("lobotomy")(life)


def _suite_holds(detector: str, life: Life) -> bool:
    names = life.settings["detectors"]
    return detector in (SUITES[names] if isinstance(names, str) else names)


def _rung(rung: Rung) -> Shows:
    return lambda life: any(event.remedy.rung is rung for event in life.of(RolledBack))


def _refused(by_check: bool) -> Shows:
    return lambda life: any(event.reason.startswith("NotFinite") is by_check for event in life.of(SnapshotRefused))


def _collapsed(at_once: bool) -> Shows:
    return lambda life: any((event.streak <= 1) is at_once for event in life.of(Collapsed))


def _cleared(life: Life) -> bool:
    said = life.standings()
    return any(word == "suspect" and said.get(step + 1) == "healthy" for step, word in said.items())


def _frozen(life: Life) -> bool:
    """A snapshot was due in a step that was suspect, and none was taken."""
    return any(life.standings().get(step) == "suspect" for step in _due_without(life))


def _crowded(life: Life) -> bool:
    """A snapshot was due in a healthy step, and the ring had no room for it."""
    refused = {event.at.step for event in life.of(SnapshotRefused)}
    return any(life.standings().get(step) == "healthy" and step not in refused for step in _due_without(life))


def _due_without(life: Life) -> Iterator[int]:
    newest = 0
    taken = {event.at.step for event in life.of(SnapshotTaken)}
    for event in life.of(StepFinished, RolledBack):
        if isinstance(event, RolledBack):
            newest = event.snapshot_step
        elif event.at.step in taken:
            newest = event.at.step
        elif event.at.step - newest >= life.settings["snapshot_every"]:
            yield event.at.step


def _accepted(life: Life) -> bool:
    return any(event.streak >= life.settings["window"] for event in life.of(Suspected))


def _apart(life: Life) -> Iterator[int]:
    steps = [event.at.step for event in life.of(RolledBack)]
    return (after - before for before, after in pairwise(steps))


def _relapsed(life: Life) -> bool:
    return any(gap <= life.settings["relapse_steps"] for gap in _apart(life))


def _forgiven(life: Life) -> bool:
    return any(gap >= life.settings["budget_window"] for gap in _apart(life))


def _leaned(life: Life) -> list[int]:
    gone = [event for event in life.of(StageChanged) if event.initiator == "governor" and event.stage_from in BLENDED]
    return [event.at.step for event in gone]


def _graced(kind: type[Event]) -> Shows:
    def shows(life: Life) -> bool:
        steps = [event.at.step for event in life.of(kind)]
        return any(0 < step - since <= life.settings["grace_steps"] for since in _leaned(life) for step in steps)

    return shows


def _raised(life: Life) -> bool:
    collapsed = {event.at.step for event in life.of(Collapsed)}
    return any(event.at.step not in collapsed for event in life.of(EnvironmentRetired))


def _spent(life: Life) -> bool:
    return any(event.rollbacks >= life.settings["budget"] for event in life.of(EnvironmentRetired))


def _undone(life: Life) -> bool:
    return any(event.pruned for event in life.of(RolledBack))


def _failed(life: Life) -> bool:
    return any(event.error.endswith("RollbackFailed") for event in life.of(RunAborted))


MARKS: dict[str, Shows] = {
    "snapshot taken at the begin": _tells(SnapshotTaken, reason="begin"),
    "snapshot taken when due": _tells(SnapshotTaken, reason="cadence"),
    "snapshot taken after a commit": _tells(SnapshotTaken, reason="fossilized"),
    "snapshot sealed later": _tells(SnapshotTaken, digest=""),
    "snapshot trusted": _tells(SnapshotTrusted),
    "snapshot refused, not finite": _refused(by_check=True),
    "snapshot refused by an error": _refused(by_check=False),
    "snapshot put off, no room": _crowded,
    "snapshot frozen by a suspicion": _frozen,
    "suspicion": _tells(Suspected),
    "suspicion cleared": _cleared,
    "suspicion accepted as the new level": _accepted,
    "collapse at once": _collapsed(at_once=True),
    "collapse after several alarms": _collapsed(at_once=False),
    "rollback at the first attempt": _attempts(1, 1),
    "rollback at the second attempt": _attempts(2, 2),
    "rollback to an older snapshot": _attempts(3, 1000),
    "rollback after a relapse": _relapsed,
    "rollback prunes a seed": _undone,
    "rollback undoes a commit": _tells(SlotRestored),
    "rollback takes a blended seed": lambda life: bool(_leaned(life)),
    "rollback forgotten by the budget": _forgiven,
    "rollback impossible": _failed,
    "grace: an alarm only suspects": _graced(Suspected),
    "grace: a NaN collapses all the same": _graced(Collapsed),
    "penalty owed": _tells(PenaltyDelivered),
    "retired, budget spent": _spent,
    "retired, its step raised": _raised,
    "a detector failed": _detector(DETECTOR_FAILED),
} | {
    **{f"optimizer policy {policy}": _tells(RolledBack, optimizer_policy=policy) for policy in OPTIMIZER_POLICIES},
    **{f"detector {name}": _detector(name) for name in DETECTOR_NAMES},
    "detector loss_explosion": _explosion(early=False, by="loss_explosion"),
    "detector confirmed_explosion": _explosion(early=False, by="confirmed_explosion"),
    "detector early_explosion": _explosion(early=True),
    "detector lobotomy": _lobotomy(by="lobotomy"),
    "detector confirmed_lobotomy": _lobotomy(by="confirmed_lobotomy"),
    "recovery failed": _detector(RECOVERY_FAILED),
    **{f"rung {rung}": _rung(rung) for rung in Rung},
    "rollback rewinds": lambda life: life.settings["rewind"] and any(life.of(RolledBack)),
    "rollback brings seeds back": lambda life: life.settings["live_seeds"] == "restore" and any(life.of(RolledBack)),
    "update gated": _tells(UpdateGated),
    "snapshot withdrawn": _tells(SnapshotWithdrawn),
}


def marks_of(events: Sequence[Event]) -> tuple[str, ...]:
    """The marks that a history hits, in the order of the table. One without a beginning hits none, and none a loop without a governor."""
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None:
        return ()
    settings = json.loads(started.config)["governor"]
    if settings is None:
        return ()
    envs = sorted({event.at.env for event in events if event.at.env is not None})
    # What concerns the whole run, such as its abort, is read in every environment.
    lives = [Life(tuple(event for event in events if event.at.env in {None, env}), settings) for env in envs]
    return tuple(name for name, shows in MARKS.items() if any(map(shows, lives)))
