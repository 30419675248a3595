from dataclasses import FrozenInstanceError

import pytest

from tolaria.governor.verdict import Alarm, Standing, Verdict


def test_a_healthy_verdict_objects_to_nothing() -> None:
    assert Verdict.healthy() == Verdict(Standing.HEALTHY, None, 0)


def test_a_verdict_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Verdict.healthy().standing = Standing.COLLAPSED  # type: ignore[misc]  # that it is refused is the point


def test_the_words_of_a_standing_are_those_that_histories_hold() -> None:
    assert [standing.value for standing in Standing] == ["healthy", "suspect", "collapsed"]


def test_verdicts_are_equal_and_read_alike_whatever_else_was_counted() -> None:
    assert Verdict.healthy().streaks == {}
    counted = Verdict(Standing.HEALTHY, streaks={"accuracy_drop": 1})
    assert counted == Verdict.healthy()
    assert repr(counted) == repr(Verdict.healthy())


def test_an_alarm_is_suspicious_from_the_first_one_on_unless_it_says_otherwise() -> None:
    alarm = Alarm("loss_explosion", 3, 9.0, 1.5, "loss 9 above 1.5")
    assert (alarm.suspect_at, alarm.immediate) == (1, False)
