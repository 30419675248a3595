"""Results without runs, and executors for those with runs."""

from collections.abc import Callable, Iterator

import pytest

from firedrill.oracles.oracle import Answer, Finding
from firedrill.runner.executors.local import Local
from firedrill.runner.result import CellResult
from firedrill.runner.verdict import Verdict


@pytest.fixture
def one() -> Iterator[Local]:
    """This machine, one cell at a time."""
    with Local(1) as executor:
        yield executor


@pytest.fixture
def two() -> Iterator[Local]:
    """This machine, two cells at once."""
    with Local(2) as executor:
        yield executor


@pytest.fixture
def result() -> Callable[..., CellResult]:
    """A result with the given fields."""

    def made(verdict: Verdict = Verdict.RECOVERED, failed: tuple[tuple[str, str], ...] = (), **fields: object) -> CellResult:
        given: dict[str, object] = {
            "id": "nan/x[cpu,seed=1]",
            "scenario": "nan/x",
            "file": "scenarios/nan/x.yaml",
            "because": "",
            "tags": (),
            "device": "cpu",
            "seed": 1,
            "verdict": verdict,
            "expected": (Verdict.RECOVERED,),
            "passed": verdict is Verdict.RECOVERED,
            "reason": "",
            "findings": tuple(Finding(oracle, Answer.FAIL, "", "", key) for oracle, key in failed),
            "seconds": 0.0,
            "rollbacks": 1,
            "penalties": 1,
        }
        return CellResult(**given | fields)  # type: ignore[arg-type]

    return made
