from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import BufferObserved, RowSeen
from firedrill.oracles.oracle import Answer, Evidence, of
from firedrill.oracles.penalized import Penalized, advantages
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import EnvironmentRetired, PenaltyDelivered, RolledBack
from tolaria.telemetry.run_events import StepFinished

Edit = Callable[..., Evidence]


def struck_buffer(event: Event) -> bool:
    """The rollout of environment 1 with the collapse in it."""
    return event.at == Point(6, 1)


@pytest.fixture
def with_row(edit: Edit, healed: Evidence) -> Edit:
    """The good evidence with one row of that rollout changed."""

    def changed(step: int, **fields: object) -> Evidence:
        (buffer,) = (buffer for buffer in of(healed.faulted, BufferObserved) if struck_buffer(buffer))
        seen = tuple(replace(row, **fields) if row.step == step else row for row in buffer.rows)
        return edit(BufferObserved, struck_buffer, rows=seen)

    return changed


def test_a_lost_penalty_fails(drop: Edit) -> None:
    assert Penalized().judge(drop(PenaltyDelivered)).detail == "env 1 step 5: 0 penalties delivered, 1 owed"


def test_a_penalty_that_is_delivered_twice_fails(add: Edit) -> None:
    assert (
        Penalized().judge(add(PenaltyDelivered(Point(5, 1), -10.0, 5, ((5, -10.0),)))).detail
        == "env 1 step 5: 2 penalties delivered, 1 owed"
    )


def test_a_penalty_in_another_step_fails(edit: Edit) -> None:
    assert Penalized().judge(edit(PenaltyDelivered, at=Point(6, 1))).key == "deliveries"


def test_a_penalty_of_another_environment_fails(edit: Edit) -> None:
    assert Penalized().judge(edit(PenaltyDelivered, at=Point(5, 0))).key == "deliveries"


def test_a_penalty_without_a_rollback_fails(drop: Edit) -> None:
    assert Penalized().judge(drop(RolledBack)).detail == "env 1 step 5: 1 penalties delivered, 0 owed"


def test_another_amount_fails(edit: Edit) -> None:
    assert Penalized().judge(edit(PenaltyDelivered, amount=-9.0)).key == "amount"


@pytest.mark.parametrize(
    ("step", "fields", "detail"),
    [
        (5, {"reward": -1.0}, "env 1 step 5: the reward is -1, not -10"),
        (5, {"terminated": False}, "env 1 step 5: the row is not terminated"),
        (5, {"truncated": True}, "env 1 step 5: the row is truncated"),
        (5, {"bootstrap": 0.5}, "env 1 step 5: the row bootstraps 0.5"),
        (5, {"marker": False}, "env 1 step 5: 0 terminal rows, 1 expected"),
        (2, {"marker": True}, "env 1 step 2: 1 terminal rows, 0 expected"),
        (6, {"fresh": False}, "env 1 step 6: memory is not fresh"),
        (6, {"life": 0}, "env 1 step 6: life 0 goes on after the rollback of step 5"),
    ],
)
def test_a_row_that_is_not_as_it_should_be_fails(with_row: Edit, step: int, fields: dict[str, object], detail: str) -> None:
    finding = Penalized().judge(with_row(step, **fields))
    assert (finding.answer, finding.detail) == (Answer.FAIL, detail)


def test_a_row_that_is_missing_fails(edit: Edit, healed: Evidence) -> None:
    (buffer,) = (buffer for buffer in of(healed.faulted, BufferObserved) if struck_buffer(buffer))
    shortened = edit(BufferObserved, struck_buffer, rows=tuple(row for row in buffer.rows if row.step != 5))
    assert Penalized().judge(shortened).detail == "env 1 step 5: 0 terminal rows, 1 expected"


@pytest.mark.parametrize("step", [3, 9])
def test_a_row_of_a_step_that_was_never_executed_fails(drop: Edit, step: int) -> None:
    finding = Penalized().judge(drop(StepFinished, lambda e: e.at == Point(step, 1)))
    assert (finding.place, finding.key) == (f"env 1 step {step}", "phantom")


def test_a_step_that_broke_off_and_was_paid_for_has_its_row(drop: Edit) -> None:
    assert Penalized().judge(drop(StepFinished, lambda e: e.at == Point(5, 1))).answer is Answer.PASS


def test_a_second_row_of_a_step_fails(edit: Edit, healed: Evidence) -> None:
    (buffer,) = (buffer for buffer in of(healed.faulted, BufferObserved) if struck_buffer(buffer))
    finding = Penalized().judge(edit(BufferObserved, struck_buffer, rows=(buffer.rows[0], *buffer.rows)))
    assert (finding.place, finding.key) == ("env 1 step 0", "phantom")


@pytest.mark.parametrize("advantage", [-2.4, float("nan")])
def test_an_advantage_that_the_sum_does_not_agree_with_fails(with_row: Edit, advantage: float) -> None:
    assert Penalized().judge(with_row(4, advantage=advantage)).key == "advantage"


def test_rounding_of_an_advantage_is_no_error(with_row: Edit) -> None:
    assert Penalized().judge(with_row(4, advantage=-2.500004)).answer is Answer.PASS


@pytest.mark.parametrize(("error", "answer"), [(None, Answer.PASS), (9e-6, Answer.PASS), (2e-5, Answer.FAIL), (float("nan"), Answer.FAIL)])
def test_a_log_probability_that_moved_fails(with_row: Edit, error: float | None, answer: Answer) -> None:
    assert Penalized().judge(with_row(6, ratio_error=error)).answer is answer


def test_another_discount_fails(edit: Edit) -> None:
    assert Penalized().judge(edit(BufferObserved, gamma=0.9)).key == "discount"


def test_a_rollback_in_a_rollout_that_was_never_completed_leaves_the_answer_unknown(drop: Edit) -> None:
    assert Penalized().judge(drop(BufferObserved)).detail == "the buffer's row of step 5 was never observed"


def test_a_rollback_in_the_last_row_of_a_rollout_begins_the_next_one_afresh(drop: Edit) -> None:
    """The row after it stands in another buffer."""
    evidence = drop(BufferObserved, lambda e: e.at.env == 1)
    row = RowSeen(5, 0, -10.0, 0.0, 0.0, 0.0, -10.0, True, False, True, True, None)
    after = RowSeen(6, 1, 0.0, 0.0, 0.0, 0.0, 0.0, False, False, False, False, None)
    buffers = (BufferObserved(Point(5, 1), (row,), 0.5, 0.5), BufferObserved(Point(6, 1), (after,), 0.5, 0.5))
    assert Penalized().judge(replace(evidence, faulted=(*evidence.faulted, *buffers))).detail == "env 1 step 6: memory is not fresh"


@pytest.mark.parametrize(("penalties", "answer"), [(0, Answer.FAIL), (1, Answer.UNKNOWN), (2, Answer.FAIL)])
def test_a_retirement_owes_the_penalty_once(add: Edit, penalties: int, answer: Answer) -> None:
    """The last rollout was never completed, so a delivery is all that can be seen."""
    retired = EnvironmentRetired(Point(14, 1), 2, "budget spent")
    assert Penalized().judge(add(retired, *[PenaltyDelivered(Point(14, 1), -10.0, 14, ((14, -10.0),))] * penalties)).answer is answer


def test_a_retirement_in_the_step_of_a_rollback_owes_nothing_more(add: Edit) -> None:
    assert Penalized().judge(add(EnvironmentRetired(Point(5, 1), 1, "budget spent"))).answer is Answer.PASS


def row(reward: float, value: float, bootstrap: float = 0.0, terminated: bool = False, truncated: bool = False) -> RowSeen:
    """A row of which only these numbers matter."""
    return RowSeen(0, 0, reward, reward, value, bootstrap, 0.0, terminated, truncated, False, False, None)


def test_an_unfinished_life_expects_its_bootstrap() -> None:
    # delta_1 = 3 + 0.5 * 4 - 2 = 3, delta_0 = 1 + 0.5 * 2 - 1 = 1, A_0 = 1 + 0.25 * 3.
    assert advantages([row(1.0, 1.0), row(3.0, 2.0, bootstrap=4.0)], 0.5, 0.5) == [1.75, 3.0]


def test_a_time_limit_expects_its_bootstrap_and_takes_nothing_from_the_next_life() -> None:
    # delta_0 = 1 + 0.5 * 6 - 1 = 3; the next life has delta_1 = 3 + 0 - 2 = 1.
    assert advantages([row(1.0, 1.0, bootstrap=6.0, truncated=True), row(3.0, 2.0)], 0.5, 0.5) == [3.0, 1.0]


def test_a_terminal_row_expects_nothing() -> None:
    # delta_0 = -10 - 1; neither a bootstrap nor the next row's value of 2 counts.
    assert advantages([row(-10.0, 1.0, bootstrap=9.0, terminated=True), row(3.0, 2.0)], 0.5, 0.5) == [-11.0, 1.0]
