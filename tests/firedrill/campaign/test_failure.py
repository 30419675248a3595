from collections.abc import Callable

from firedrill.campaign.failure import Failure, failure_of, failures_of
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict

Make = Callable[..., CellResult]


def test_the_first_oracle_that_failed_names_the_failure(result: Make) -> None:
    red = result(Verdict.WRONG_RECOVERY, (("clean", "restored"), ("twin", "differs")))
    assert str(failure_of(red)) == "wrong_recovery: clean: restored"
    assert [failure.oracle for failure in failures_of(red)] == ["clean", "twin"]


def test_two_errors_are_two_failures(result: Make) -> None:
    one = result(Verdict.CRASHED, reason="builtins.RuntimeError: at 0x7f01")
    same = result(Verdict.CRASHED, reason="builtins.RuntimeError: at 0x7f02")
    other = result(Verdict.CRASHED, reason="builtins.KeyError: 'head'")
    assert failure_of(one) == failure_of(same) != failure_of(other)


def test_without_an_oracle_the_verdict_stands_alone(result: Make) -> None:
    assert failure_of(result(Verdict.MISSED, reason="env 1: no collapse")) == Failure(Verdict.MISSED, "", "")
