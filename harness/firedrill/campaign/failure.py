"""What a cell is red by, so that two red cells can be told apart or found to be the same."""

from collections.abc import Iterator
from dataclasses import dataclass

from firedrill.oracles.oracle import Answer
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict

# Here the reason begins with the type of an error, and two errors are two failures.
BY_ERROR = frozenset({Verdict.CRASHED, Verdict.HARNESS_ERROR})


@dataclass(frozen=True, slots=True)
class Failure:
    """A verdict with the oracle that failed and its key; where no oracle did, `key` is the type of the error, if there was one."""

    verdict: Verdict
    oracle: str
    key: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.verdict.value, self.oracle, self.key)))


def failure_of(result: CellResult) -> Failure:
    """What decided: the first oracle that failed names it."""
    return next(failures_of(result))


def failures_of(result: CellResult) -> Iterator[Failure]:
    """Everything that the cell is red by, the first thing first; of a green cell its verdict alone."""
    failed = [finding for finding in result.findings if finding.answer is Answer.FAIL]
    yield from (Failure(result.verdict, finding.oracle, finding.key) for finding in failed)
    if not failed:
        yield Failure(result.verdict, "", result.reason.partition(":")[0] if result.verdict in BY_ERROR else "")
