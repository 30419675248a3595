from collections.abc import Callable
from dataclasses import replace

from firedrill.events import StateDigested
from firedrill.oracles.oracle import Answer, Evidence, of
from firedrill.oracles.twin import Twin
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import RolledBack

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


def test_data_that_are_wound_back_fail_although_the_twin_agrees(edit: Edit, healed: Evidence) -> None:
    parts = (("data", "once more"), ("host", "1.8"), ("rng", "8"))
    twin = tuple(replace(event, parts=parts) if event.at.step == 8 else event for event in healed.twin)
    step = next(event for event in of(healed.control, StateDigested) if event.at == Point(8, 1))
    control = tuple(replace(step, parts=(("data", "next"), *step.parts)) if event is step else event for event in healed.control)
    evidence = replace(edit(StateDigested, lambda e: e.at == Point(8, 1), parts=parts), twin=twin, control=control)
    finding = Twin().judge(evidence)
    assert (finding.answer, finding.detail) == (Answer.FAIL, "env 1 step 8: the data are not where they are in the control run")
