import pytest

from firedrill.bench.cases import Size
from firedrill.bench.side import block
from firedrill.bench.sides import snapshot

OPERATIONS = {"take", "validated take", "published take", "sealed take", "restore", "healthy step", "rollback"}


def test_a_block_times_every_operation_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(snapshot.SIZES, "tiny", Size(2_000, 6, 2))
    found = block(snapshot.begin, "tiny", 2)
    assert set(found["seconds"]) == OPERATIONS
    assert all(len(seconds) == 2 and min(seconds) > 0.0 for seconds in found["seconds"].values())
    assert found["wall"] == []
