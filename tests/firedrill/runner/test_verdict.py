from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import FaultStruck, RunResumed, SnapshotObserved, TensorSeen
from firedrill.oracles import ORACLES
from firedrill.oracles.oracle import Answer, Evidence, Finding
from firedrill.runner.verdict import PREDICATES, End, Ending, Verdict, verdict
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import Collapsed, EnvironmentRetired, RolledBack, Suspected
from tolaria.telemetry.run_events import RunAborted, RunFinished, StepFinished

Edit = Callable[..., Evidence]

ENDED = Ending()
NAN = float("nan")
STRIKE = FaultStruck(Point(5, 1), 0, "tensor.set", "host/head.weight[0]", 1, "aa", "ab", "nan")
COLLAPSE = Collapsed(Point(9, 1), "non_finite", None, None, 0, "parameters")


def shown(evidence: Evidence, *findings: Finding, ending: Ending = ENDED) -> tuple[Verdict, str]:
    """The verdict on hand-written findings."""
    return verdict(evidence, findings, ending)


def failed(oracle: str, key: str = "") -> Finding:
    """What a red oracle says."""
    return Finding(oracle, Answer.FAIL, "env 1 step 5", "env 1 step 5: wrong", key)


@pytest.fixture
def unnoticed(healed: Evidence) -> Evidence:
    """The fault struck, nothing came of it, and nobody noticed."""
    faulted = (*healed.control[:-1], STRIKE, healed.control[-1])
    return replace(healed, faulted=faulted, counterfactual=faulted)


def with_loss(events: tuple[Event, ...], env: int, loss: float) -> tuple[Event, ...]:
    """The same history, but the last step of an environment ends with this loss."""
    last = Point(13, env)
    return tuple(replace(event, val_loss=loss) if isinstance(event, StepFinished) and event.at == last else event for event in events)


def test_a_good_recovery_is_recovered(healed: Evidence) -> None:
    assert shown(healed) == (Verdict.RECOVERED, "rolled back once at env 1 step 5")


def test_a_harmless_strike_is_masked(unnoticed: Evidence) -> None:
    reason = "harmless: final losses without a governor, and of the control run: env 1 0.47 (0.47)"
    assert shown(unnoticed) == (Verdict.MASKED, reason)


def test_without_a_run_that_says_whether_it_did_harm_nothing_is_masked(unnoticed: Evidence) -> None:
    assert shown(replace(unnoticed, counterfactual=None))[0] is Verdict.HARNESS_ERROR


def test_what_strikes_beside_the_training_needs_no_run_without_a_governor(unnoticed: Evidence) -> None:
    beside = replace(unnoticed, counterfactual=None, claim=replace(unnoticed.claim, beside=True))
    assert shown(beside)[0] is Verdict.MASKED


def test_a_run_without_any_fault_is_masked(healed: Evidence) -> None:
    claim = replace(healed.claim, declared_strikes=(), fault_kinds=())
    assert shown(replace(healed, faulted=healed.control, claim=claim)) == (Verdict.MASKED, "no fault was declared")


@pytest.mark.parametrize(("how", "expected"), [(End.NOT_RUN, Verdict.NOT_RUN), (End.HARNESS_FAILED, Verdict.HARNESS_ERROR)])
def test_the_ending_comes_before_everything_else(empty: Evidence, how: End, expected: Verdict) -> None:
    assert shown(empty, ending=Ending(how, "no GPU")) == (expected, "no GPU")


def test_a_fault_that_never_struck_is_not_injected(drop: Edit) -> None:
    assert shown(drop(FaultStruck)) == (Verdict.NOT_INJECTED, "fault 0 (tensor.set) never struck")


def test_a_fault_that_changed_nothing_is_not_injected(edit: Edit) -> None:
    assert shown(edit(FaultStruck, digest_after="aa")) == (Verdict.NOT_INJECTED, "fault 0 (tensor.set) changed nothing")


def test_a_control_run_without_an_end_has_failed(healed: Evidence) -> None:
    without = tuple(event for event in healed.control if not isinstance(event, RunFinished))
    assert shown(replace(healed, control=without)) == (Verdict.CONTROL_FAILED, "the control run did not finish")


@pytest.mark.parametrize("alarm", [COLLAPSE, Suspected(Point(9, 1), "loss", 3.0, 2.0, 1)])
def test_a_control_run_with_an_alarm_has_failed(healed: Evidence, alarm: Event) -> None:
    assert shown(replace(healed, control=(*healed.control, alarm)))[0] is Verdict.CONTROL_FAILED


@pytest.mark.parametrize("oracle", ["transparent", "deterministic"])
def test_a_control_run_that_is_not_the_run_itself_has_failed(healed: Evidence, oracle: str) -> None:
    assert shown(healed, failed(oracle)) == (Verdict.CONTROL_FAILED, f"{oracle}: env 1 step 5: wrong")


def test_an_abort_is_a_crash(add: Edit) -> None:
    assert shown(add(RunAborted(Point(7), "KeyError", "'s1'"))) == (Verdict.CRASHED, "KeyError: 's1'")


def test_a_dead_process_is_a_crash(healed: Evidence) -> None:
    assert shown(healed, ending=Ending(End.DIED, "killed by signal 9")) == (Verdict.CRASHED, "killed by signal 9")


def test_a_history_that_breaks_off_is_a_crash(drop: Edit) -> None:
    assert shown(drop(RunFinished)) == (Verdict.CRASHED, "the history breaks off")


def test_the_watchdog_means_hung(drop: Edit) -> None:
    assert shown(drop(RunFinished), ending=Ending(End.TIMED_OUT, "60 s")) == (Verdict.HUNG, "60 s")


@pytest.mark.parametrize(("how", "expected"), [(End.DIED, Verdict.CRASHED), (End.TIMED_OUT, Verdict.HUNG)])
def test_what_a_run_had_not_come_to_before_it_was_cut_short_says_nothing(empty: Evidence, how: End, expected: Verdict) -> None:
    assert shown(empty, ending=Ending(how, "killed")) == (expected, "killed")


def test_a_run_that_was_resumed_has_recovered(healed: Evidence) -> None:
    strike = FaultStruck(Point(5, 1), 0, "proc.sigkill", "process", 1, "aa", "ab", "proc.sigkill")
    resumed = replace(healed, faulted=(*healed.control, strike, RunResumed(Point(4), 7)))
    assert shown(resumed) == (Verdict.RECOVERED, "resumed at step 4")
    assert shown(resumed, failed("undisturbed")) == (Verdict.WRONG_RECOVERY, "undisturbed: env 1 step 5: wrong")


def test_more_rollbacks_than_the_budget_are_a_livelock(healed: Evidence) -> None:
    tight = replace(healed, claim=replace(healed.claim, rollbacks_max=0))
    assert shown(tight) == (Verdict.LIVELOCK, "1 rollbacks, the budget is 0")


def test_a_loss_that_ends_as_nan_is_silent_corruption(unnoticed: Evidence) -> None:
    evidence = replace(unnoticed, faulted=with_loss(unnoticed.faulted, 1, NAN))
    assert shown(evidence) == (Verdict.SILENT_CORRUPTION, "env 1 step 13: the run ends with a loss that is not finite")


def poisoned(step: int) -> SnapshotObserved:
    """A snapshot that should never have been published."""
    return SnapshotObserved(Point(step, 1), 2, (TensorSeen("host/head.weight", "ff", 1, 0.0),))


def test_a_poisoned_snapshot_is_silent_corruption(add: Edit) -> None:
    assert shown(add(poisoned(7)))[0] is Verdict.SILENT_CORRUPTION


def test_a_poisoned_snapshot_is_not_silent_when_somebody_rolled_back_after_it(add: Edit) -> None:
    assert shown(add(poisoned(4)))[0] is Verdict.RECOVERED


def test_a_loss_of_nan_is_not_silent_when_the_environment_was_retired(add: Edit) -> None:
    evidence = add(EnvironmentRetired(Point(13, 1), 1, "budget spent"))
    assert shown(replace(evidence, faulted=with_loss(evidence.faulted, 1, NAN)))[0] is Verdict.FAIL_STOP


OTHER_ORACLES = {"witnessed", "detected", "recovered", "reaches", "climbed", "quiet", "live", "transparent", "deterministic"}


@pytest.mark.parametrize("oracle", sorted(set(ORACLES) - OTHER_ORACLES))
def test_a_recovery_that_breaks_a_promise_is_wrong(healed: Evidence, oracle: str) -> None:
    assert shown(healed, failed(oracle)) == (Verdict.WRONG_RECOVERY, f"{oracle}: env 1 step 5: wrong")


def test_a_collapse_without_an_answer_is_a_wrong_recovery(add: Edit) -> None:
    assert shown(add(COLLAPSE)) == (Verdict.WRONG_RECOVERY, "env 1 step 9: collapsed, and neither rolled back nor retired")


# The control run ends with a loss of 0.47: worse means more than max(20 %, 0.1 x 0.7), which is 0.094.
@pytest.mark.parametrize(("loss", "expected"), [(0.56, Verdict.MASKED), (0.57, Verdict.MISSED)])
def test_damage_that_nobody_noticed_is_missed(unnoticed: Evidence, loss: float, expected: Verdict) -> None:
    assert shown(replace(unnoticed, faulted=with_loss(unnoticed.faulted, 1, loss)))[0] is expected


# A control loss of 0.1 allows 0.07 more, a tenth of the loss of a guess, where 20 % would allow 0.02.
@pytest.mark.parametrize(("loss", "expected"), [(0.16, Verdict.MASKED), (0.18, Verdict.MISSED)])
def test_near_zero_the_loss_of_a_guess_is_the_measure(unnoticed: Evidence, loss: float, expected: Verdict) -> None:
    faulted, control = with_loss(unnoticed.faulted, 1, loss), with_loss(unnoticed.control, 1, 0.1)
    assert shown(replace(unnoticed, faulted=faulted, control=control, counterfactual=faulted))[0] is expected


@pytest.mark.parametrize("loss", [5.0, NAN])
def test_damage_in_the_counterfactual_run_is_missed(unnoticed: Evidence, loss: float) -> None:
    assert shown(replace(unnoticed, counterfactual=with_loss(unnoticed.faulted, 1, loss)))[0] is Verdict.MISSED


def test_a_counterfactual_run_that_ends_early_is_missed(unnoticed: Evidence) -> None:
    short = tuple(event for event in unnoticed.faulted if not (isinstance(event, StepFinished) and event.at == Point(13, 1)))
    verdict_and_reason = shown(replace(unnoticed, counterfactual=short))
    assert verdict_and_reason == (
        Verdict.MISSED,
        "env 1: no collapse, yet without a governor it ended with step 12, the control run with step 13",
    )


def test_a_harmless_counterfactual_run_stays_masked(unnoticed: Evidence) -> None:
    assert shown(replace(unnoticed, counterfactual=unnoticed.control))[0] is Verdict.MASKED


def test_damage_to_a_bystander_is_no_miss_of_the_loss(unnoticed: Evidence) -> None:
    assert shown(replace(unnoticed, faulted=with_loss(unnoticed.faulted, 0, 5.0)))[0] is Verdict.MASKED


@pytest.mark.parametrize("oracle", ["detected", "bystanders_untouched"])
def test_a_broken_statement_that_nobody_noticed_is_missed(unnoticed: Evidence, oracle: str) -> None:
    assert shown(unnoticed, failed(oracle))[0] is Verdict.MISSED


def test_a_collapse_where_nothing_struck_is_a_false_alarm(edit: Edit) -> None:
    both = replace(edit(FaultStruck, at=Point(5, 0)))
    assert shown(both) == (Verdict.FALSE_ALARM, "env 1 step 5: collapsed, and no fault struck there")


def test_a_collapse_before_the_strike_is_a_false_alarm(edit: Edit) -> None:
    assert shown(edit(FaultStruck, at=Point(6, 1))) == (Verdict.FALSE_ALARM, "env 1 step 5: collapsed before the first strike")


def test_a_detection_after_the_time_is_late(healed: Evidence) -> None:
    assert shown(healed, failed("detected", "late"))[0] is Verdict.LATE


def test_a_wrong_cause_is_not_late(healed: Evidence) -> None:
    assert shown(healed, failed("detected", "cause"))[0] is Verdict.RECOVERED


@pytest.mark.parametrize("oracle", ["recovered", "reaches", "live"])
def test_a_run_that_does_worse_afterwards_lost_work(healed: Evidence, oracle: str) -> None:
    assert shown(healed, failed(oracle))[0] is Verdict.LOST_WORK


def test_a_retired_environment_is_a_fail_stop(add: Edit) -> None:
    retired = EnvironmentRetired(Point(9, 1), 1, "budget spent")
    assert shown(add(COLLAPSE, retired)) == (Verdict.FAIL_STOP, "env 1 step 9: retired, budget spent")


def test_a_run_that_cannot_be_restored_is_a_fail_stop(drop: Edit) -> None:
    evidence = drop(RolledBack)
    aborted = RunAborted(Point(5), "RollbackFailed", "no snapshot can be trusted")
    faulted = (*(event for event in evidence.faulted if event.at.step <= 5), aborted)
    assert shown(replace(evidence, faulted=faulted)) == (Verdict.FAIL_STOP, "RollbackFailed: no snapshot can be trusted")


def test_the_graver_verdict_wins(add: Edit) -> None:
    """A crash with a hundred broken promises is a crash."""
    evidence = add(RunAborted(Point(7), "KeyError", "'s1'"))
    assert shown(evidence, failed("twin"), failed("detected", "late"), failed("reaches"))[0] is Verdict.CRASHED


def test_predicates_are_asked_in_the_order_of_the_verdicts() -> None:
    assert list(PREDICATES) == [name for name in Verdict if name in PREDICATES]
    assert set(Verdict) - set(PREDICATES) == {Verdict.HARNESS_ERROR, Verdict.MASKED, Verdict.NOT_RUN}
