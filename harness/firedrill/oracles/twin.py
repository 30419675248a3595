"""A rolled-back run continues like a fresh one that began at the snapshot, or like the one that never fell."""

from dataclasses import dataclass
from typing import ClassVar

from firedrill.oracles.oracle import Claim, Evidence, Finding, Oracle, differing_parts, digests, is_repeatable, last_steps, of, place
from tolaria.telemetry.governor_events import RolledBack, SnapshotTaken

# The part of the state that a rollback does not wind back, unless it rewinds.
DATA = "data"
# What the governor remembers of the run is never wound back.
GOVERNOR = "governor"
MOVED = "not where they are in the control run"
UNSKIPPED = "where they are in the control run, and were to be skipped"


@dataclass(frozen=True, slots=True)
class Twin(Oracle):
    """For `steps` steps after each rollback every part of the state equals that of a fresh subject built from the snapshot.

    Only the data go on as if nothing had happened: no twin can say where they should stand, and the control run does. Once a
    rollback has skipped some they stand elsewhere. Where the governor rewinds, they stand where they stood in the control run in
    the step that is done again; and where it also restores optimizers and live seeds, so does everything else until data are skipped.
    The strongest of all: what the rollback forgot to restore shows here, whether or not anybody thought of it.
    """

    steps: int = 5
    kind: ClassVar[str] = "twin"

    def judge(self, evidence: Evidence) -> Finding:
        """Compares until the next rollback of the environment, the end of its run or `steps`, whichever comes first."""
        rollbacks = of(evidence.faulted, RolledBack)
        if not evidence.twin or not rollbacks:
            return self.unknown("there is no twin" if rollbacks else "no rollback to compare with a twin")
        if not is_repeatable(evidence):
            return self.unknown("two control runs differ, so no difference says anything")
        live, control = digests(evidence.faulted), digests(evidence.control)
        twins = {(event.snapshot, event.at.env, event.at.step): dict(event.parts) for event in evidence.twin}
        last = last_steps(evidence.faulted)
        compared = 0
        for rollback in rollbacks:
            env, begun = rollback.at.env, rollback.at.step
            end = min(begun + self.steps, begun if env is None else last.get(env, begun))
            skipped = any(_skipped(r) for r in rollbacks if r.at.env == env and r.at.step <= begun)
            end = min([end, *(r.at.step - 1 for r in rollbacks if r.at.env == env and r.at.step > begun)])
            again = steps_done_again(evidence, env, end) if evidence.claim.rewind else {}
            for step in range(begun + 1, end + 1):
                fresh, lived = twins.get((rollback.snapshot, env, step)), live.get((env, step))
                if fresh is None or lived is None:
                    missing = "the twin" if fresh is None else "the run"
                    return self.unknown(f"{place(env, step)}: {missing} has no digests here")
                # The twin is a host and has no governor; what only the run has is not compared.
                part = next(differing_parts({name: lived[name] for name in lived.keys() & fresh.keys()}, fresh), None)
                if part is not None:
                    return self.failed(place(env, step), f"{part} differs from the twin of snapshot {rollback.snapshot}", "differs")
                undisturbed = control.get((env, again.get(step, step)), lived)
                if (lived.get(DATA) != undisturbed.get(DATA)) != skipped:
                    return self.failed(place(env, step), "the data are " + (UNSKIPPED if skipped else MOVED), "data")
                exact = is_exact(evidence.claim) and not skipped
                part = next(differing_parts(_judged(lived), _judged(undisturbed)), None) if exact else None
                if part is not None:
                    return self.failed(place(env, step), f"{part} differs from step {again[step]} of the control run", "control")
                compared += 1
        return self.passed(f"{compared} steps byte-equal to the twin") if compared else self.unknown("no step follows a rollback")


def is_exact(claim: Claim) -> bool:
    """Whether the run must go on as if it had never fallen."""
    return claim.rewind and claim.optimizer_policy == claim.live_seeds == "restore"


def steps_done_again(evidence: Evidence, env: int | None, end: int) -> dict[int, int]:
    """For every step of an environment that rewinds, which step of an undisturbed run it is."""
    back = {event.at.step: event for event in of(evidence.faulted, RolledBack) if event.at.env == env}
    first = {event.snapshot for event in of(evidence.faulted, SnapshotTaken) if event.at.env == env and event.reason == "begin"}
    again: dict[int, int] = {}
    due = 0
    for step in range(end + 1):
        again[step] = due
        due += 1
        if step in back:
            # The first snapshot was taken before its step, every other one after it.
            due = again[back[step].snapshot_step] + (back[step].snapshot not in first)
    return again


def _judged(parts: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in parts.items() if name != GOVERNOR}


def _skipped(rollback: RolledBack) -> bool:
    return rollback.remedy.ease is not None and rollback.remedy.ease.skipped_batches > 0
