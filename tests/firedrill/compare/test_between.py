from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firedrill.bench.paired import SideFailed, Timed
from firedrill.compare import between
from firedrill.compare.between import Between
from firedrill.compare.compared import Change
from firedrill.compare.timing import judge_confirmed

BASE, HEAD = Path("base"), Path("head")
Asked = list[tuple[str, str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What was timed, in the order in which it was; every subject has two operations, and that of snapshots cannot be loaded."""
    found: Asked = []

    @contextmanager
    def sides(base: Path, head: Path, subject: str) -> Iterator[tuple[str, str]]:
        assert (base, head) == (BASE, HEAD)
        if subject == "snapshot":
            raise SideFailed("ImportError: no arena yet")
        yield subject, subject

    def interleaved(before: str, after: str, case: str, pairs: int, rounds: int, after_pair: Callable[[], object]) -> list[Timed]:
        assert before == after
        found.append((before, case))
        after_pair()
        return [Timed(f"{before} {name}, {case}", ((1.0,) * rounds,) * pairs, ((1.0,) * rounds,) * pairs) for name in ("one", "two")]

    monkeypatch.setattr(between, "sides", sides)
    monkeypatch.setattr(between, "interleaved", interleaved)
    return found


def test_every_case_of_every_subject_is_timed_and_then_those_cases_again_that_have_a_suspect(asked: Asked) -> None:
    pairs: list[None] = []
    both = Between(BASE, HEAD, {"rollback": ["0.1M", "1M"], "training": ["1M"]}, lambda: pairs.append(None))
    assert [one.subject for one in both.measure(())] == [
        f"{subject} {name}, {case}"
        for subject, case in (("rollback", "0.1M"), ("rollback", "1M"), ("training", "1M"))
        for name in ("one", "two")
    ]
    assert len(pairs) == 3
    asked.clear()
    both.measure(["rollback two, 1M"])
    assert asked == [("rollback", "1M")]
    assert both.failed == {}


def test_a_subject_that_cannot_be_timed_ends_no_other(asked: Asked) -> None:
    both = Between(BASE, HEAD, {"snapshot": ["1M"], "rollback": ["1M"]}, lambda: None)
    found, timed = judge_confirmed(both.measure)
    assert [one.change for one in found] == [Change.UNCHANGED] * 2
    assert len(timed) == 2
    assert both.failed == {"snapshot": "ImportError: no arena yet"}
