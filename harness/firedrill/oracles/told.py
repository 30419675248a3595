"""Every collapse is followed by one complete account of its rollback."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Evidence, Finding, Oracle, of, place, where
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack, Rung, SnapshotTaken, SnapshotTrusted
from tolaria.telemetry.run_events import RunAborted


@dataclass(frozen=True, slots=True)
class Told(Oracle):
    """Exactly one `RolledBack` a collapse, complete, and in agreement with what else the history tells.

    The collapse that retires an environment, or that ends the run because nothing could be restored, has no rollback to tell of.
    """

    kind: ClassVar[str] = "told"

    def judge(self, evidence: Evidence) -> Finding:
        """Counts by environment and step, then reads every account."""
        collapses = Counter(map(where, of(evidence.faulted, Collapsed)))
        rollbacks = Counter(map(where, of(evidence.faulted, RolledBack)))
        if not collapses and not rollbacks:
            return self.unknown("no collapse and no rollback")
        excused = set(map(where, of(evidence.faulted, EnvironmentRetired)))
        aborted = bool(of(evidence.faulted, RunAborted))
        excused |= set(list(collapses)[-1:]) if aborted else set()
        for row in sorted({*collapses, *rollbacks}, key=lambda row: row[1]):
            missing = collapses[row] - rollbacks[row]
            if missing < 0 or (missing > 0 and row not in excused):
                return self.failed(place(*row), f"{collapses[row]} collapses and {rollbacks[row]} rollbacks told", "count")
        for rollback in of(evidence.faulted, RolledBack):
            gap = incomplete(rollback) or contradicted(rollback, evidence)
            if gap:
                return self.failed(place(*where(rollback)), gap, "incomplete")
        return self.passed(f"{rollbacks.total()} rollbacks told in full")


def incomplete(rollback: RolledBack) -> str:
    """What an account lacks or gets wrong by itself, or nothing."""
    decision, probe = rollback.decision, rollback.remedy.probe
    numbers = {"loss": decision.loss, "threshold": decision.threshold, "mean": decision.mean, "spread": decision.spread}
    numbers |= {f"recent[{i}]": value for i, value in enumerate(decision.recent)}
    if probe is not None:
        numbers |= {"probe.loss": probe.loss, "probe.mutual_information": probe.mutual_information}
    for name, value in numbers.items():
        if value is not None and not math.isfinite(value):
            return f"{name} is {value}, which should be None"
    if not decision.cause:
        return "no cause"
    if decision.streak < 0:
        return f"a streak of {decision.streak}"
    if not decision.recent:
        return "no recent losses"
    if not decision.snapshot_ages or min(decision.snapshot_ages) < 0:
        return f"snapshot ages are {decision.snapshot_ages}"
    return "" if rollback.work.attempts >= 1 else f"{rollback.work.attempts} attempts"


def contradicted(rollback: RolledBack, evidence: Evidence) -> str:
    """What the account or another event of the same history says otherwise, or nothing."""
    checks = (_other_collapse, _other_end, _lost_future, _other_snapshot, _other_rung)
    return next((said for check in checks if (said := check(rollback, evidence))), "")


def _other_collapse(rollback: RolledBack, evidence: Evidence) -> str:
    decided = rollback.decision
    for collapse in of(evidence.faulted, Collapsed):
        seen = (collapse.cause, collapse.loss, collapse.threshold, collapse.streak)
        if where(collapse) == where(rollback) and seen != (decided.cause, decided.loss, decided.threshold, decided.streak):
            return f"decided for {decided.cause}, but the collapse was told otherwise"
    return ""


def _other_end(rollback: RolledBack, evidence: Evidence) -> str:
    retired = where(rollback) in map(where, of(evidence.faulted, EnvironmentRetired))
    if (rollback.remedy.rung is Rung.RETIRED) != retired:
        return f"the rung is {rollback.remedy.rung}, which is not what became of the environment"
    return ""


def _lost_future(rollback: RolledBack, evidence: Evidence) -> str:
    """A rollback drops the snapshots of what it undoes; their numbers are not given again."""
    dropped: set[int] = set()
    taken: set[int] = set()
    for event in evidence.faulted:
        if event is rollback:
            break
        if event.at.env == rollback.at.env and isinstance(event, SnapshotTaken):
            taken, dropped = ({event.snapshot}, set()) if event.reason == "begin" else (taken | {event.snapshot}, dropped)
        elif event.at.env == rollback.at.env and isinstance(event, RolledBack):
            dropped |= {number for number in taken if number > event.snapshot}
    return f"snapshot {rollback.snapshot} is of a future that an earlier rollback undid" if rollback.snapshot in dropped else ""


def _other_snapshot(rollback: RolledBack, evidence: Evidence) -> str:
    env, step = where(rollback)
    taken = [s for s in of(evidence.faulted, SnapshotTaken) if s.at.env == env and s.at.step <= step and s.snapshot == rollback.snapshot]
    seen = [f"{snapshot.bytes} bytes of step {snapshot.at.step}" for snapshot in taken[-1:]]
    told = f"{rollback.work.bytes} bytes of step {rollback.snapshot_step}"
    return f"snapshot {rollback.snapshot} was {seen[0]}, not {told}" if seen and seen != [told] else ""


def _other_rung(rollback: RolledBack, evidence: Evidence) -> str:
    rung, ease = rollback.remedy.rung, rollback.remedy.ease
    if (rung is Rung.EASED) != (ease is not None):
        return f"the rung is {rung}, the ease is {ease}"
    if ease is not None and not (0.0 < ease.lr_scale <= 1.0 and ease.skipped_batches >= 0):
        return f"the ease is {ease}"
    newest = newest_trusted(evidence, rollback)
    if newest is None or rung is not (Rung.OLDER if rollback.snapshot == newest else Rung.NEWEST):
        return ""
    return f"the rung is {rung}, snapshot {rollback.snapshot} was restored and {newest} was the newest trusted"


def newest_trusted(evidence: Evidence, rollback: RolledBack) -> int | None:
    """The newest trusted snapshot of an environment when it was rolled back; None where no event tells of one."""
    trusted: list[int] = []
    for event in evidence.faulted:
        if event is rollback:
            break
        if event.at.env != rollback.at.env:
            continue
        if isinstance(event, SnapshotTaken) and event.reason == "begin":
            trusted = [event.snapshot]
        elif isinstance(event, SnapshotTrusted):
            trusted.append(event.snapshot)
        elif isinstance(event, RolledBack):
            # Snapshots of a future that is no more are gone.
            trusted = [number for number in trusted if number <= event.snapshot]
    return max(trusted, default=None)
