"""What one cell shows, folded into one word. The predicates stand in order of gravity, and the first that holds decides.

A verdict says what happened; whether that is good is for the scenario to expect and for `judge` to compare.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from firedrill.events import FaultStruck, RunResumed, SnapshotObserved
from firedrill.oracles.detected import LATE
from firedrill.oracles.oracle import Answer, Evidence, Finding, first_strikes, of, place, where
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack, Suspected
from tolaria.telemetry.run_events import RunAborted, RunFinished, StepFinished


class Verdict(StrEnum):
    """In order of gravity; NOT_RUN is the verdict of a cell that had no place to run, and is neither green nor red."""

    HARNESS_ERROR = "harness_error"
    NOT_INJECTED = "not_injected"
    CONTROL_FAILED = "control_failed"
    CRASHED = "crashed"
    HUNG = "hung"
    LIVELOCK = "livelock"
    SILENT_CORRUPTION = "silent_corruption"
    WRONG_RECOVERY = "wrong_recovery"
    MISSED = "missed"
    FALSE_ALARM = "false_alarm"
    LATE = "late"
    LOST_WORK = "lost_work"
    FAIL_STOP = "fail_stop"
    RECOVERED = "recovered"
    MASKED = "masked"
    NOT_RUN = "not_run"


class End(StrEnum):
    """How a cell's process ended, as its parent saw it."""

    ENDED = "ended"
    DIED = "died"
    TIMED_OUT = "timed_out"
    HARNESS_FAILED = "harness_failed"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a cell ended, with the parent's words for it: a signal, a limit, an error of the harness, a missing device."""

    how: End = End.ENDED
    detail: str = ""


RECOVERY_ORACLES = frozenset(
    {
        "state_restored",
        "keys_matched",
        "clean",
        "optimizer_reset",
        "twin",
        "idempotent",
        "bystanders_untouched",
        "penalized",
        "lawful",
        "told",
        "frugal",
        "undisturbed",
    }
)
WORK_ORACLES = frozenset({"recovered", "reaches", "live"})
# A run that differs from itself, or from the one without a harness, is nothing that another could be compared with.
CONTROL_ORACLES = frozenset({"deterministic", "transparent"})
# The typed stop: nothing could be trusted. Every other abort is a crash.
TYPED_STOP = "RollbackFailed"
# Ends that cut a run short wherever it was; what it had not come to by then says nothing.
CUT_SHORT = frozenset({End.DIED, End.TIMED_OUT})
# A final loss is worse than the control's when it is so by both measures: a part of the control's loss, and of the loss of a guess.
WORSE_BY = 0.2
WORSE_BY_CHANCE = 0.1


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict may rest on."""

    evidence: Evidence
    findings: Sequence[Finding]
    ending: Ending

    @property
    def faulted(self) -> tuple[Event, ...]:
        """The history of the run that was disturbed."""
        return self.evidence.faulted


def verdict(evidence: Evidence, findings: Sequence[Finding], ending: Ending) -> tuple[Verdict, str]:
    """The first verdict of the table that has a reason, with the reason."""
    if ending.how is End.NOT_RUN:
        return Verdict.NOT_RUN, ending.detail or "the cell was not run"
    if ending.how is End.HARNESS_FAILED:
        return Verdict.HARNESS_ERROR, ending.detail or "the harness failed"
    for name, reason_of in PREDICATES.items():
        reason = reason_of(Case(evidence, findings, ending))
        if reason:
            return name, reason
    if not evidence.claim.declared_strikes:
        return Verdict.MASKED, "no fault was declared"
    if evidence.claim.beside:
        # No governor looks there, so the run itself says what it would have come to without one.
        return Verdict.MASKED, harmless(evidence, evidence.faulted)
    if evidence.counterfactual is None:
        return Verdict.HARNESS_ERROR, "nobody noticed, and there is no run without a governor to say whether that did harm"
    return Verdict.MASKED, harmless(evidence, evidence.counterfactual)


def not_injected(case: Case) -> str:
    """A declared fault never struck, or changed nothing whenever it did, in a run that was not cut short."""
    if case.ending.how in CUT_SHORT:
        return ""
    strikes = of(case.faulted, FaultStruck)
    for fault, kind in enumerate(case.evidence.claim.fault_kinds):
        mine = [strike for strike in strikes if strike.fault == fault]
        if not mine and case.evidence.claim.declared_strikes[fault] != 0:
            return f"fault {fault} ({kind}) never struck"
        if mine and all(strike.digest_before == strike.digest_after for strike in mine):
            return f"fault {fault} ({kind}) changed nothing"
    return ""


def control_failed(case: Case) -> str:
    """Without faults the run does not end, is not quiet, or is another one each time: nothing can be learnt from a comparison."""
    if case.ending.how not in CUT_SHORT and not of(case.evidence.control, RunFinished):
        return "the control run did not finish"
    alarm = next((event for event in case.evidence.control if isinstance(event, Suspected | Collapsed | RolledBack)), None)
    if alarm:
        return f"{place(*where(alarm))}: {type(alarm).__name__} in the control run"
    return first_failure(case.findings, CONTROL_ORACLES)


def crashed(case: Case) -> str:
    """The run ended by an error that is not the typed stop, or without a word."""
    for event in of(case.faulted, RunAborted):
        if not is_typed_stop(event):
            return f"{event.error}: {event.message}"
    if case.ending.how is End.DIED:
        return case.ending.detail or "the process died"
    if case.ending.how is End.ENDED and not of(case.faulted, RunFinished) and not of(case.faulted, RunAborted):
        return "the history breaks off"
    return ""


def hung(case: Case) -> str:
    """The watchdog had to end it."""
    return (case.ending.detail or "the watchdog fired") if case.ending.how is End.TIMED_OUT else ""


def livelock(case: Case) -> str:
    """It rolls back more often than the scenario's budget."""
    count, most = len(of(case.faulted, RolledBack)), case.evidence.claim.rollbacks_max
    return f"{count} rollbacks, the budget is {most}" if count > most else ""


def silent_corruption(case: Case) -> str:
    """Something non-finite was published, or stands at the end, and nobody acted on it."""
    if of(case.faulted, RunAborted):
        return ""
    for i, event in enumerate(case.faulted):
        poisoned = isinstance(event, SnapshotObserved) and any(tensor.nonfinite for tensor in event.tensors)
        if poisoned and not acted_on(case.faulted[i:], event):
            return f"{place(*where(event))}: a poisoned snapshot was published, and nobody rolled back after it"
    for env in range(case.evidence.claim.envs):
        step = last_step(case.faulted, env)
        if step and not (math.isfinite(step.val_loss) and math.isfinite(step.train_loss)) and not acted_on(case.faulted, step):
            return f"{place(*where(step))}: the run ends with a loss that is not finite"
    return ""


def wrong_recovery(case: Case) -> str:
    """The governor acted, and what it did or left behind is not what it promises."""
    acts = {where(event) for event in case.faulted if isinstance(event, RolledBack | EnvironmentRetired)}
    unanswered = [where(collapse) for collapse in of(case.faulted, Collapsed) if where(collapse) not in acts]
    if unanswered and not of(case.faulted, RunAborted):
        return f"{place(*unanswered[0])}: collapsed, and neither rolled back nor retired"
    return first_failure(case.findings, RECOVERY_ORACLES) if acts or unanswered or of(case.faulted, RunResumed) else ""


def missed(case: Case) -> str:
    """A struck environment never collapsed although it is damaged, or a statement broke and nobody noticed anything at all."""
    # An environment that was retired without a collapse was noticed as well.
    collapses = (*of(case.faulted, Collapsed), *of(case.faulted, EnvironmentRetired))
    strikes = first_strikes(case.faulted, case.evidence.claim)
    for env, faults in sorted(strikes.items()):
        if any(collapse.at.env == env and collapse.at.step >= min(faults.values()) for collapse in collapses):
            continue
        for events, run in ((case.faulted, ""), (case.evidence.counterfactual or (), "without a governor ")):
            loss = damage(events, case.evidence, env)
            if loss:
                return f"env {env}: no collapse, yet {run}{loss}"
    if strikes and not collapses:
        return first_failure(case.findings, RECOVERY_ORACLES | {"detected"})
    return ""


def false_alarm(case: Case) -> str:
    """A collapse where nothing had struck."""
    strikes = first_strikes(case.faulted, case.evidence.claim)
    for collapse in of(case.faulted, Collapsed):
        if collapse.at.env is None:
            continue
        if collapse.at.env not in strikes:
            return f"{place(*where(collapse))}: collapsed, and no fault struck there"
        if collapse.at.step < min(strikes[collapse.at.env].values()):
            return f"{place(*where(collapse))}: collapsed before the first strike"
    return ""


def late(case: Case) -> str:
    """Noticed, but not in time."""
    return next((f.detail for f in case.findings if f.oracle == "detected" and f.answer is Answer.FAIL and f.key == LATE), "")


def lost_work(case: Case) -> str:
    """It goes on, but not as well as it should."""
    return first_failure(case.findings, WORK_ORACLES)


def fail_stop(case: Case) -> str:
    """It stopped with a type, the environment or the whole run: better stopped than wrong."""
    retired = of(case.faulted, EnvironmentRetired)
    if retired:
        return f"{place(*where(retired[0]))}: retired, {retired[0].reason}"
    return next((f"{stop.error}: {stop.message}" for stop in of(case.faulted, RunAborted) if is_typed_stop(stop)), "")


def recovered(case: Case) -> str:
    """It was rolled back or resumed, and nothing above found fault with that."""
    rollbacks = of(case.faulted, RolledBack)
    if not rollbacks:
        return next((f"resumed at {place(*where(again))}" for again in of(case.faulted, RunResumed)), "")
    times = "once" if len(rollbacks) == 1 else f"{len(rollbacks)} times, first"
    return f"rolled back {times} at {place(*where(rollbacks[0]))}"


PREDICATES: dict[Verdict, Callable[[Case], str]] = {
    Verdict.NOT_INJECTED: not_injected,
    Verdict.CONTROL_FAILED: control_failed,
    Verdict.CRASHED: crashed,
    Verdict.HUNG: hung,
    Verdict.LIVELOCK: livelock,
    Verdict.SILENT_CORRUPTION: silent_corruption,
    Verdict.WRONG_RECOVERY: wrong_recovery,
    Verdict.MISSED: missed,
    Verdict.FALSE_ALARM: false_alarm,
    Verdict.LATE: late,
    Verdict.LOST_WORK: lost_work,
    Verdict.FAIL_STOP: fail_stop,
    Verdict.RECOVERED: recovered,
}


def first_failure(findings: Sequence[Finding], oracles: frozenset[str]) -> str:
    """The first of these oracles that failed, with its detail."""
    return next((f"{f.oracle}: {f.detail}" for f in findings if f.answer is Answer.FAIL and f.oracle in oracles), "")


def is_typed_stop(event: RunAborted) -> bool:
    """Whether the run stopped itself because nothing could be trusted."""
    return event.error.rpartition(".")[2] == TYPED_STOP


def acted_on(events: Sequence[Event], symptom: Event) -> bool:
    """Whether the environment was rolled back or retired in the step of a symptom or later."""
    acts = (event for event in events if isinstance(event, RolledBack | EnvironmentRetired))
    return any(act.at.env == symptom.at.env and act.at.step >= symptom.at.step for act in acts)


def last_step(events: Sequence[Event], env: int) -> StepFinished | None:
    """The last step that an environment finished."""
    return next((event for event in reversed(of(events, StepFinished)) if event.at.env == env), None)


def harmless(evidence: Evidence, ungoverned: Sequence[Event]) -> str:
    """How the struck environments end where no governor is there that could have helped, in words that can be checked."""
    ends = [(env, last_step(ungoverned, env), last_step(evidence.control, env)) for env in sorted(evidence.claim.struck_envs)]
    told = [f"env {env} {ended.val_loss:.4g} ({control.val_loss:.4g})" for env, ended, control in ends if ended and control]
    return f"harmless: final losses without a governor, and of the control run: {', '.join(told) or 'none'}"


def damage(events: Sequence[Event], evidence: Evidence, env: int) -> str:
    """How much worse than the control run an environment ended, or nothing. A loss that is not finite is damage, and so is an early end."""
    ended, control = last_step(events, env), last_step(evidence.control, env)
    if ended is None or control is None:
        return ""
    if ended.at.step < control.at.step:
        return f"it ended with step {ended.at.step}, the control run with step {control.at.step}"
    tolerance = max(WORSE_BY * control.val_loss, WORSE_BY_CHANCE * evidence.claim.chance_loss)
    if ended.val_loss - control.val_loss <= tolerance:
        return ""
    return f"the final loss is {ended.val_loss:.4g}, in the control run {control.val_loss:.4g}"
