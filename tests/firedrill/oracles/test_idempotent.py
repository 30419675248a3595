from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import pytest

from firedrill.events import RollbackObserved, SnapshotObserved
from firedrill.oracles.idempotent import Idempotent
from firedrill.oracles.oracle import Answer, Evidence, of
from tolaria.telemetry.governor_events import RolledBack, Work

Edit = Callable[..., Evidence]


def with_last(evidence: Evidence, **fields: object) -> Evidence:
    """Other fields in the second of the two rollbacks that were observed."""
    first, last = of(evidence.faulted, RollbackObserved)
    assert first is not last
    return replace(evidence, faulted=tuple(replace(event, **fields) if event is last else event for event in evidence.faulted))


@pytest.mark.parametrize("name", ["host/head.weight", "optimizer/host/head.weight/exp_avg_sq"])
def test_a_second_rollback_that_leaves_another_tensor_fails(healed: Evidence, name: str) -> None:
    tensors = of(healed.faulted, RollbackObserved)[0].tensors
    assert name in {tensor.name for tensor in tensors}
    spoilt = tuple(replace(tensor, digest="ff") if tensor.name == name else tensor for tensor in tensors)
    finding = Idempotent().judge(with_last(healed, tensors=spoilt))
    assert finding.detail == f"env 1 step 5: {name} is not what the rollback of step 5 to snapshot 1 left"


def test_a_second_rollback_that_leaves_a_tensor_out_fails(healed: Evidence) -> None:
    tensors = of(healed.faulted, RollbackObserved)[0].tensors
    assert Idempotent().judge(with_last(healed, tensors=tensors[1:])).key == "differs"


def test_a_second_rollback_that_leaves_a_seed_fails(healed: Evidence) -> None:
    assert "which slots hold seeds" in Idempotent().judge(with_last(healed, occupied=("s0",))).detail


def test_rollbacks_to_two_snapshots_are_not_compared(healed: Evidence) -> None:
    assert Idempotent().judge(with_last(healed, snapshot=0)).answer is Answer.UNKNOWN


def test_a_snapshot_of_a_new_host_may_have_the_same_number(healed: Evidence) -> None:
    first, last = of(healed.faulted, RollbackObserved)
    published = replace(of(healed.faulted, SnapshotObserved)[-1], at=last.at)
    events = [(published, event) if event is last else (event,) for event in healed.faulted]
    assert first is not last
    assert Idempotent().judge(replace(healed, faulted=tuple(chain.from_iterable(events)))).answer is Answer.UNKNOWN


def test_an_interrupted_rollback_must_leave_the_snapshot(edit: Edit, healed: Evidence) -> None:
    interrupted = edit(RolledBack, work=Work(2, 100))
    assert Idempotent().judge(interrupted).answer is Answer.PASS
    tensors = of(healed.faulted, RollbackObserved)[0].tensors
    spoilt = tuple(replace(tensor, digest="ff") if tensor.name == "host/head.weight" else tensor for tensor in tensors)
    both = tuple(replace(event, tensors=spoilt) if isinstance(event, RollbackObserved) else event for event in interrupted.faulted)
    finding = Idempotent().judge(replace(interrupted, faulted=both))
    assert finding.detail == "env 1 step 5: after several attempts host/head.weight is not that of the snapshot"
