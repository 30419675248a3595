from multiprocessing import Pipe

import pytest

from firedrill.bench import side
from firedrill.bench.cases import Size

OPERATIONS = {"take", "validated take", "published take", "sealed take", "restore", "healthy step", "rollback"}


def test_a_block_times_every_operation_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(side.SIZES, "tiny", Size(2_000, 6, 2))
    found = side.block("tiny", 2)
    assert set(found) == OPERATIONS
    assert all(len(seconds) == 2 and min(seconds) > 0.0 for seconds in found.values())


def test_an_operation_that_fails_is_told_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Pipe(duplex=False)
    side.answer(there, "no such size", 1)
    assert here.recv() == {"error": "KeyError: 'no such size'"}
