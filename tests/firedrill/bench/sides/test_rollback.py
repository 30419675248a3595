import pytest

from firedrill.bench import rollback
from firedrill.bench.side import block
from firedrill.bench.sides.rollback import begin

PARTS = ["rollback: validate", "rollback: lifecycle", "rollback: copy", "rollback: optimizer"]


def test_a_block_times_a_rollback_its_parts_and_its_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rollback.SIZES, "tiny", 5_000)
    found = block(begin, "tiny", 3)
    assert list(found["seconds"]) == ["rollback: total", *PARTS, "rollback: buffer"]
    assert found["wall"] == PARTS
    assert all(len(seconds) == 3 and min(seconds) > 0.0 for seconds in found["seconds"].values())
