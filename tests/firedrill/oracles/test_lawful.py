from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.oracles.lawful import Lawful
from firedrill.oracles.oracle import Answer, Evidence
from tolaria.lifecycle.stage import TRANSITIONS, Move, Stage
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import RolledBack
from tolaria.telemetry.growth_events import SlotRestored, StageChanged
from tolaria.telemetry.run_events import EpisodeFinished, StepFinished

Edit = Callable[..., Evidence]


def move(step: int, stage_from: Stage, stage_to: Stage, initiator: str = "policy", slot: str = "s1") -> StageChanged:
    """A move of environment 0, which does nothing in the good history."""
    return StageChanged(Point(step, 0), slot, 1, "norm", stage_from, stage_to, "", initiator)


GERMINATED = move(1, Stage.DORMANT, Stage.GERMINATED)
PRUNED = move(2, Stage.GERMINATED, Stage.PRUNED)


def rest(*steps: int) -> list[Event]:
    """The three moves that time makes, in these steps."""
    stages = (Stage.PRUNED, Stage.EMBARGOED, Stage.RESETTING, Stage.DORMANT)
    return [move(step, stages[i], stages[i + 1], "time") for i, step in enumerate(steps)]


def test_a_move_that_the_table_does_not_know_fails(add: Edit) -> None:
    finding = Lawful().judge(add(GERMINATED, move(2, Stage.GERMINATED, Stage.HOLDING)))
    assert (finding.answer, finding.detail) == (Answer.FAIL, "env 0 step 2: s1 may not move from germinated to holding")


def test_a_move_from_where_the_slot_does_not_stand_fails(add: Edit) -> None:
    finding = Lawful().judge(add(GERMINATED, move(2, Stage.TRAINING, Stage.BLENDING)))
    assert finding.detail == "env 0 step 2: s1 moved from training, but stood at germinated"


def test_a_fossil_never_moves(add: Edit) -> None:
    fossil = SlotRestored(Point(1, 0), "s1", 1, Stage.DORMANT, Stage.FOSSILIZED)
    assert Lawful().judge(add(fossil, move(2, Stage.FOSSILIZED, Stage.PRUNED))).answer is Answer.FAIL


@pytest.mark.parametrize("steps", [(2, 7, 8), (3, 8, 9)])
def test_a_slot_rests_for_one_then_five_then_one_step(add: Edit, steps: tuple[int, ...]) -> None:
    assert Lawful().judge(add(GERMINATED, PRUNED, *rest(*steps))).answer is Answer.PASS


@pytest.mark.parametrize("steps", [(4, 9, 10), (2, 6, 7), (2, 8, 9), (2, 7, 9), (2, 7, 7)])
def test_a_rest_of_another_length_fails(add: Edit, steps: tuple[int, ...]) -> None:
    assert Lawful().judge(add(GERMINATED, PRUNED, *rest(*steps))).answer is Answer.FAIL


def test_a_slot_that_the_governor_pruned_has_its_first_tick_in_the_next_step(edit: Edit) -> None:
    early = edit(StageChanged, lambda e: e.stage_to is Stage.EMBARGOED, at=Point(5, 1))
    assert Lawful().judge(early).detail == "env 1 step 5: s0 left pruned in step 5, not in step 6"


def test_a_rest_that_never_ends_fails(add: Edit) -> None:
    finding = Lawful().judge(add(GERMINATED, PRUNED, *rest(2)))
    assert finding.detail == "env 0 step 7: s1 is still embargoed"


def test_a_rest_that_the_run_cuts_short_is_lawful(drop: Edit) -> None:
    def ended(event: Event) -> bool:
        return event.at.env == 1 and event.at.step > 10

    evidence = drop(StepFinished, ended)
    assert Lawful().judge(replace(evidence, faulted=tuple(e for e in evidence.faulted if not ended(e)))).answer is Answer.PASS


def test_a_restored_slot_goes_on_from_where_it_was_put(add: Edit) -> None:
    restored = SlotRestored(Point(3, 0), "s1", 1, Stage.PRUNED, Stage.DORMANT)
    assert Lawful().judge(add(GERMINATED, PRUNED, restored, move(4, Stage.DORMANT, Stage.GERMINATED))).answer is Answer.PASS


def test_a_new_host_begins_with_dormant_slots(add: Edit) -> None:
    ended = EpisodeFinished(Point(3, 0), 0, 4, 0.0, 0, 0.9, 0.9, 100)
    assert Lawful().judge(add(GERMINATED, ended, move(4, Stage.DORMANT, Stage.GERMINATED))).answer is Answer.PASS


@pytest.mark.parametrize(("step", "to", "initiator"), [(2, Stage.TRAINING, "time"), (2, Stage.TRAINING, "governor")])
def test_a_move_by_somebody_who_may_not_make_it_fails(add: Edit, step: int, to: Stage, initiator: str) -> None:
    assert Lawful().judge(add(GERMINATED, move(step, Stage.GERMINATED, to, initiator))).answer is Answer.FAIL


def test_only_time_ends_a_rest(add: Edit) -> None:
    hurried = move(3, Stage.PRUNED, Stage.EMBARGOED, "policy")
    assert Lawful().judge(add(GERMINATED, PRUNED, hurried)).detail == "env 0 step 3: s1 was moved from pruned by policy"


def test_a_governors_prune_without_a_reason_fails(edit: Edit) -> None:
    assert Lawful().judge(edit(StageChanged, lambda e: e.initiator == "governor", reason="")).answer is Answer.FAIL


def test_a_governors_prune_in_another_name_fails(edit: Edit) -> None:
    finding = Lawful().judge(edit(StageChanged, lambda e: e.initiator == "governor", initiator="policy"))
    assert finding.key == "pruned"


def test_a_rollback_that_does_not_name_what_it_pruned_fails(edit: Edit) -> None:
    finding = Lawful().judge(edit(RolledBack, pruned=()))
    assert finding.detail == "env 1 step 5: s0 was pruned by the governor, but the rollback does not say so"


def test_its_own_table_says_what_the_house_table_says(healed: Evidence) -> None:
    """Written twice on purpose: whoever changes one is asked about the other."""
    wanted = {(a, b) for (a, m), b in TRANSITIONS.items() if m is not Move.ELAPSE}
    known = set()
    for a in Stage:
        for b in Stage:
            put = SlotRestored(Point(1, 0), "s1", 1, Stage.DORMANT, a)
            if Lawful().judge(replace(healed, faulted=(put, move(2, a, b)))).answer is Answer.PASS:
                known.add((a, b))
    assert known == wanted


def test_a_rest_ends_with_its_host(add: Edit) -> None:
    ended = EpisodeFinished(Point(3, 0), 0, 4, 0.0, 0, 0.9, 0.9, 100)
    assert Lawful().judge(add(GERMINATED, PRUNED, *rest(2), ended)).answer is Answer.PASS


def test_a_slot_that_rested_before_a_rollback_rests_as_long_as_its_snapshot_says(add: Edit, healed: Evidence) -> None:
    """How far it had come when the snapshot was taken is not told, so two steps more are neither right nor wrong."""
    rollback = next(event for event in healed.faulted if isinstance(event, RolledBack))
    here = [replace(rollback, at=Point(4, 0), pruned=()), *rest(2, 9, 10)[1:]]
    assert Lawful().judge(add(GERMINATED, PRUNED, rest(2)[0], *here)).answer is Answer.PASS
