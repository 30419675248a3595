"""Rows of unequal length, stacked into tensors that the network can unroll.

T steps, C columns, D features, M choices in a mask, K heads. A column is the part of an environment's rows that is unrolled from
one stored state: all of its rollout, or a segment of it. Its rows stand at the top; below them is padding, which is legal (open
masks) and marked by `valid`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tolaria.policy.policy import Record, RecurrentState
from tolaria.ppo.row import Row


@dataclass(frozen=True, slots=True, eq=False)
class Stacked:
    """What was decided in a rollout, and the recurrent state `state` ([C, H] twice) that each column began with."""

    observations: Tensor  # [T, C, D]
    masks: Tensor  # [T, C, M]
    indices: Tensor  # [T, C, K]
    log_probs: Tensor  # [T, C]
    valid: Tensor  # [T, C]
    fresh: Tensor  # [T, C]
    forced: Tensor  # [T, C]
    penalized: Tensor  # [T, C]
    state: RecurrentState

    @property
    def actor(self) -> Tensor:
        """The rows [T, C] where something was decided; only these train the policy."""
        return self.valid & ~self.forced

    @property
    def num_columns(self) -> int:
        """C."""
        return self.valid.shape[1]

    def of(self, columns: Tensor) -> "Stacked":
        """Some of the columns."""
        return Stacked(
            observations=self.observations[:, columns],
            masks=self.masks[:, columns],
            indices=self.indices[:, columns],
            log_probs=self.log_probs[:, columns],
            valid=self.valid[:, columns],
            fresh=self.fresh[:, columns],
            forced=self.forced[:, columns],
            penalized=self.penalized[:, columns],
            state=(self.state[0][columns], self.state[1][columns]),
        )

    def by_row(self) -> "Stacked":
        """Every row a column of its own, without padding; only where nothing is remembered from one to the next."""
        assert self.state[0].shape[1] == 0, "rows that remember are not to be torn apart"
        rows = int(self.valid.sum())
        return Stacked(
            observations=self.observations[self.valid][None],
            masks=self.masks[self.valid][None],
            indices=self.indices[self.valid][None],
            log_probs=self.log_probs[self.valid][None],
            valid=self.valid[self.valid][None],
            fresh=self.fresh[self.valid][None],
            forced=self.forced[self.valid][None],
            penalized=self.penalized[self.valid][None],
            state=(torch.zeros(rows, 0), torch.zeros(rows, 0)),
        )


def stack(columns: Sequence[Sequence[Row]], state: RecurrentState) -> Stacked:
    """Stack columns of rows; all of them must carry a record, and there must be at least one."""
    length = max(len(rows) for rows in columns)
    records = [[_record(row) for row in rows] for rows in columns]
    first = next(record for column in records for record in column)
    padding = Record(
        observation=torch.zeros_like(first.observation),
        mask=torch.ones_like(first.mask),
        indices=torch.zeros_like(first.indices),
        log_prob=0.0,
        value=0.0,
        forced=True,
    )
    padded = [[*column, *[padding] * (length - len(column))] for column in records]
    return Stacked(
        observations=_grid([[record.observation for record in column] for column in padded]),
        masks=_grid([[record.mask for record in column] for column in padded]),
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
