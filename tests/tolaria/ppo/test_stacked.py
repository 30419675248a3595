from collections.abc import Callable
from typing import Any

import pytest
import torch

from tolaria.ppo.row import Row
from tolaria.ppo.stacked import stack


def test_padding_is_legal_and_marked(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play(retired={1: 2})
    stacked = played.buffer.stacked()
    assert stacked.valid[:, 1].tolist() == [True] * 3 + [False] * 5
    assert bool(stacked.masks[3:, 1].all())
    assert not bool(stacked.actor[3:, 1].any())


def test_columns_can_be_chosen(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play()
    whole, part = played.buffer.stacked(), played.buffer.stacked().of(torch.tensor([2, 0]))
    assert torch.equal(part.indices[:, 0], whole.indices[:, 2])
    assert torch.equal(part.state[0][1], whole.state[0][0])


def test_rows_without_record_cannot_be_learned_from() -> None:
    with pytest.raises(AssertionError, match="no record"):
        stack([[Row(0, 0, None, 0.0)]], (torch.zeros(1, 8), torch.zeros(1, 8)))
