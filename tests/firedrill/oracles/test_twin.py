from collections.abc import Callable
from dataclasses import replace

from firedrill.events import StateDigested
from firedrill.oracles.oracle import Answer, Evidence, of
from firedrill.oracles.twin import Twin, steps_done_again
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import Ease, Remedy, RolledBack, Rung, SnapshotTaken

Edit = Callable[..., Evidence]


def test_a_part_that_differs_fails(edit: Edit) -> None:
    finding = Twin().judge(edit(StateDigested, lambda e: e.at == Point(8, 1), parts=(("host", "1.8"), ("rng", "x"))))
    assert (finding.answer, finding.detail) == (Answer.FAIL, "env 1 step 8: rng differs from the twin of snapshot 1")


def test_only_so_many_steps_are_compared(edit: Edit) -> None:
    evidence = edit(StateDigested, lambda e: e.at == Point(8, 1), parts=(("host", "x"),))
    assert Twin(steps=2).judge(evidence).detail == "2 steps byte-equal to the twin"


def test_without_a_twin_the_answer_is_unknown(healed: Evidence) -> None:
    assert Twin().judge(replace(healed, twin=())).detail == "there is no twin"


def test_a_twin_that_stops_early_leaves_the_answer_unknown(healed: Evidence) -> None:
    assert Twin().judge(replace(healed, twin=healed.twin[:3])).answer is Answer.UNKNOWN


def test_a_twin_of_another_snapshot_does_not_count(healed: Evidence) -> None:
    others = tuple(replace(event, snapshot=0) for event in healed.twin)
    assert Twin().judge(replace(healed, twin=others)).answer is Answer.UNKNOWN


def test_the_step_of_the_next_rollback_is_not_compared(add: Edit, healed: Evidence) -> None:
    again = replace(of(healed.faulted, RolledBack)[0], at=Point(13, 1))
    without = replace(add(again), twin=tuple(event for event in healed.twin if event.at.step < 13))
    beyond = tuple(replace(healed.twin[0], at=Point(step, 1), parts=(("host", f"1.{step}"), ("rng", f"{step}"))) for step in (11, 12))
    assert Twin(steps=8).judge(replace(without, twin=(*without.twin, *beyond))).detail == "7 steps byte-equal to the twin"


def with_data(edit: Edit, healed: Evidence, live: str) -> Evidence:
    """Step 8 of the struck environment with a place in the data, which is "next" in the control run."""
    parts = (("data", live), ("host", "1.8"), ("rng", "8"))
    twin = tuple(replace(event, parts=parts) if event.at.step == 8 else event for event in healed.twin)
    step = next(event for event in of(healed.control, StateDigested) if event.at == Point(8, 1))
    control = tuple(replace(step, parts=(("data", "next"), *step.parts)) if event is step else event for event in healed.control)
    return replace(edit(StateDigested, lambda e: e.at == Point(8, 1), parts=parts), twin=twin, control=control, again=control)


def eased(evidence: Evidence, skipped: int) -> Evidence:
    """The same, after a rollback that skipped so many batches."""
    remedy = Remedy(Rung.EASED, Ease(0.5, skipped), None)
    return replace(evidence, faulted=tuple(replace(e, remedy=remedy) if isinstance(e, RolledBack) else e for e in evidence.faulted))


def test_data_that_are_wound_back_fail_although_the_twin_agrees(edit: Edit, healed: Evidence) -> None:
    finding = Twin().judge(with_data(edit, healed, "once more"))
    assert (finding.answer, finding.detail) == (Answer.FAIL, "env 1 step 8: the data are not where they are in the control run")


def test_data_that_were_skipped_stand_elsewhere(edit: Edit, healed: Evidence) -> None:
    evidence = eased(with_data(edit, healed, "further on"), skipped=5)
    # Compared at step 8 only: the other steps of this history say nothing of data.
    rollback = next(event for event in evidence.faulted if isinstance(event, RolledBack))
    later = tuple(replace(rollback, at=Point(7, 1)) if event is rollback else event for event in evidence.faulted)
    assert Twin(steps=1).judge(replace(evidence, faulted=later)).detail == "1 steps byte-equal to the twin"


def test_data_that_were_to_be_skipped_and_were_not_fail(edit: Edit, healed: Evidence) -> None:
    finding = Twin().judge(eased(healed, skipped=5))
    assert finding.detail == "env 1 step 6: the data are where they are in the control run, and were to be skipped"


def test_an_ease_that_skips_nothing_moves_no_data(healed: Evidence) -> None:
    assert Twin().judge(eased(healed, skipped=0)).answer is Answer.PASS


def test_where_two_control_runs_differ_a_difference_from_the_twin_says_nothing(edit: Edit) -> None:
    evidence = edit(StateDigested, lambda e: e.at == Point(8, 1), parts=(("host", "x"),))
    finding = Twin().judge(replace(evidence, again=evidence.control[1:]))
    assert (finding.answer, finding.detail) == (Answer.UNKNOWN, "two control runs differ, so no difference says anything")


def exact(evidence: Evidence) -> Evidence:
    """The same histories of a run that restores and rewinds everything."""
    return replace(evidence, claim=replace(evidence.claim, optimizer_policy="restore", live_seeds="restore", rewind=True))


def test_after_a_rewind_the_steps_since_the_snapshot_are_done_again(healed: Evidence) -> None:
    # Taken in step 3, restored in step 5: step 6 is step 4 once more.
    assert steps_done_again(healed, 1, 8) == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 4, 7: 5, 8: 6}


def test_a_second_rewind_counts_from_where_the_first_one_led(add: Edit, healed: Evidence) -> None:
    first = of(healed.faulted, RolledBack)[0]
    later = SnapshotTaken(Point(8, 1), 7, "", 0, "cadence")
    again = replace(add(replace(first, at=Point(9, 1), snapshot=7, snapshot_step=8)), twin=())
    with_both = replace(again, faulted=(*again.faulted, later))
    assert [steps_done_again(with_both, 1, 11)[step] for step in (8, 9, 10, 11)] == [6, 7, 7, 8]


def test_the_first_snapshot_of_a_run_lies_before_its_step(healed: Evidence) -> None:
    first = replace(of(healed.faulted, RolledBack)[0], snapshot=0, snapshot_step=0)
    faulted = tuple(first if isinstance(event, RolledBack) else event for event in healed.faulted)
    begin = SnapshotTaken(Point(0, 1), 0, "", 0, "begin")
    assert steps_done_again(replace(healed, faulted=(begin, *faulted)), 1, 7)[6] == 0


def test_a_run_that_restores_everything_is_compared_with_the_one_that_never_fell(healed: Evidence) -> None:
    finding = Twin().judge(exact(healed))
    assert (finding.answer, finding.key) == (Answer.FAIL, "control")
    assert finding.detail == "env 1 step 6: host differs from step 4 of the control run"
