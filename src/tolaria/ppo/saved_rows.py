"""Rows as tensors and facts, so that a run can be stopped in the middle of a rollout."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from tolaria.policy.policy import JSON, Record
from tolaria.ppo.row import Row

RECORD_TENSORS = ("observation", "mask", "indices")
PLAIN_FIELDS = ("step", "life", "reward", "terminated", "truncated", "bootstrap", "fresh", "penalized", "share")


def row_tensors(env: int, rows: Sequence[Row]) -> dict[str, Tensor]:
    """One tensor [rows, ...] for each tensor of the records of an environment; none where nothing is recorded."""
    records = [row.record for row in rows if row.record is not None]
    assert len(records) in {0, len(rows)}, "either every row carries a record or none"
    if not records:
        return {}
    return {f"{env}.{name}": torch.stack([getattr(record, name) for record in records]) for name in RECORD_TENSORS}


def row_facts(row: Row) -> dict[str, JSON]:
    """Everything of a row but its tensors."""
    facts: dict[str, JSON] = {name: getattr(row, name) for name in PLAIN_FIELDS}
    if row.record is None:
        return {**facts, "record": None}
    return {**facts, "record": {"log_prob": row.record.log_prob, "value": row.record.value, "forced": row.record.forced}}


def saved_rows(env: int, facts: Sequence[Mapping[str, JSON]], tensors: Mapping[str, Tensor]) -> list[Row]:
    """The rows of one environment, as they were."""
    return [_saved_row(fact, _saved_record(env, index, fact["record"], tensors)) for index, fact in enumerate(facts)]


def _saved_row(fact: Mapping[str, JSON], record: Record | None) -> Row:
    return Row(
        step=cast("int", fact["step"]),
        life=cast("int", fact["life"]),
        record=record,
        reward=cast("float", fact["reward"]),
        terminated=cast("bool", fact["terminated"]),
        truncated=cast("bool", fact["truncated"]),
        bootstrap=cast("float", fact["bootstrap"]),
        fresh=cast("bool", fact["fresh"]),
        penalized=cast("bool", fact["penalized"]),
        share=cast("float", fact["share"]),
    )


def _saved_record(env: int, index: int, fact: JSON, tensors: Mapping[str, Tensor]) -> Record | None:
    if fact is None:
        return None
    plain = cast("Mapping[str, JSON]", fact)
    observation, mask, indices = (tensors[f"{env}.{name}"][index].clone() for name in RECORD_TENSORS)
    return Record(
        observation=observation,
        mask=mask,
        indices=indices,
        log_prob=cast("float", plain["log_prob"]),
        value=cast("float", plain["value"]),
        forced=cast("bool", plain["forced"]),
    )
