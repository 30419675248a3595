"""Rows of unequal length, stacked into tensors that the network can unroll.

T steps, N environments, D features, S slots. Each environment's rows stand at the top of its column; below them is padding,
which is legal (open masks) and marked by `valid`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tolaria.policy.policy import Record, RecurrentState
from tolaria.ppo.row import Row


@dataclass(frozen=True, slots=True, eq=False)
class Stacked:
    """What was decided in a rollout, and the recurrent state `state` ([N, H] twice) that it began with."""

    observations: Tensor  # [T, N, D]
    op_masks: Tensor  # [T, N, 6]
    slot_masks: Tensor  # [T, N, 6, S]
    indices: Tensor  # [T, N, 8]
    log_probs: Tensor  # [T, N]
    valid: Tensor  # [T, N]
    fresh: Tensor  # [T, N]
    forced: Tensor  # [T, N]
    penalized: Tensor  # [T, N]
    state: RecurrentState

    @property
    def actor(self) -> Tensor:
        """The rows [T, N] where something was decided; only these train the policy."""
        return self.valid & ~self.forced

    def of(self, envs: Tensor) -> "Stacked":
        """The columns of some environments."""
        return Stacked(
            observations=self.observations[:, envs],
            op_masks=self.op_masks[:, envs],
            slot_masks=self.slot_masks[:, envs],
            indices=self.indices[:, envs],
            log_probs=self.log_probs[:, envs],
            valid=self.valid[:, envs],
            fresh=self.fresh[:, envs],
            forced=self.forced[:, envs],
            penalized=self.penalized[:, envs],
            state=(self.state[0][envs], self.state[1][envs]),
        )


def stack(columns: Sequence[Sequence[Row]], state: RecurrentState) -> Stacked:
    """Stack the rows of every environment; all of them must carry a record, and there must be at least one."""
    length = max(len(rows) for rows in columns)
    records = [[_record(row) for row in rows] for rows in columns]
    first = next(record for column in records for record in column)
    padding = Record(
        observation=torch.zeros_like(first.observation),
        op_mask=torch.ones_like(first.op_mask),
        slot_mask=torch.ones_like(first.slot_mask),
        indices=torch.zeros_like(first.indices),
        log_prob=0.0,
        value=0.0,
        forced=True,
    )
    padded = [[*column, *[padding] * (length - len(column))] for column in records]
    return Stacked(
        observations=_grid([[record.observation for record in column] for column in padded]),
        op_masks=_grid([[record.op_mask for record in column] for column in padded]),
        slot_masks=_grid([[record.slot_mask for record in column] for column in padded]),
        indices=_grid([[record.indices for record in column] for column in padded]),
        log_probs=torch.tensor([[record.log_prob for record in column] for column in padded]).T,
        forced=torch.tensor([[record.forced for record in column] for column in padded]).T,
        valid=flags([[True] * len(rows) for rows in columns], length),
        fresh=flags([[row.fresh for row in rows] for rows in columns], length),
        penalized=flags([[row.charged for row in rows] for rows in columns], length),
        state=state,
    )


def flags(columns: Sequence[Sequence[bool]], length: int) -> Tensor:
    """Columns of truths as [T, N], false where there is no row."""
    return torch.tensor([[*column, *[False] * (length - len(column))] for column in columns], dtype=torch.bool).T


def numbers(columns: Sequence[Sequence[float]], length: int) -> Tensor:
    """Columns of numbers as float64 [T, N], zero where there is no row."""
    return torch.tensor([[*column, *[0.0] * (length - len(column))] for column in columns], dtype=torch.float64).T


def _record(row: Row) -> Record:
    assert row.record is not None, f"step {row.step} has no record to learn from"
    return row.record


def _grid(columns: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(column) for column in columns], dim=1)
