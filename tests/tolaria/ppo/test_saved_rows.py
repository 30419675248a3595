import pytest
import torch

from tolaria.policy.policy import Record
from tolaria.ppo.row import Row
from tolaria.ppo.saved_rows import row_facts, row_tensors, saved_rows

RECORD = Record(torch.tensor([0.5, -1.0]), torch.ones(18).bool(), torch.arange(8), -0.1, 0.3, False)


def test_a_row_comes_back_with_every_field() -> None:
    rows = [Row(3, 1, RECORD, 0.1, truncated=True, bootstrap=0.7, fresh=True), Row.death(4, 2, RECORD, -10.0, fresh=True)]
    back = saved_rows(2, [row_facts(row) for row in rows], row_tensors(2, rows))
    for row, other in zip(rows, back, strict=True):
        assert row_facts(row) == row_facts(other)
        assert other.record is not None
        assert torch.equal(other.record.observation, RECORD.observation)
        assert torch.equal(other.record.indices, RECORD.indices)


def test_rows_with_and_without_record_do_not_mix() -> None:
    with pytest.raises(AssertionError, match="or none"):
        row_tensors(0, [Row(0, 0, RECORD, 0.0), Row(1, 0, None, 0.0)])
