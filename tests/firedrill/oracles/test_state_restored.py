from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import RollbackObserved, SnapshotObserved
from firedrill.oracles.oracle import Answer, Evidence, of
from firedrill.oracles.state_restored import StateRestored
from tolaria.telemetry.governor_events import RolledBack, Work

Edit = Callable[..., Evidence]


def test_a_tensor_with_other_bytes_fails(edit: Edit, healed: Evidence) -> None:
    first, *others = of(healed.faulted, RollbackObserved)[0].tensors
    finding = StateRestored().judge(edit(RollbackObserved, tensors=(replace(first, digest="ab"), *others)))
    assert (finding.answer, finding.detail) == (Answer.FAIL, "env 1 step 5: host/head.weight differs from snapshot 1")


def test_a_tensor_that_is_gone_fails(edit: Edit, healed: Evidence) -> None:
    tensors = of(healed.faulted, RollbackObserved)[0].tensors
    assert StateRestored().judge(edit(RollbackObserved, tensors=tensors[1:])).key == "gone"


def test_a_snapshot_that_was_never_published_fails(edit: Edit) -> None:
    assert StateRestored().judge(edit(RollbackObserved, snapshot=7)).key == "unpublished"


def test_a_snapshot_of_another_environment_does_not_count(drop: Edit) -> None:
    assert StateRestored().judge(drop(SnapshotObserved, lambda e: e.snapshot == 1)).key == "unpublished"


def test_without_an_observed_rollback_there_is_nothing_to_judge(drop: Edit) -> None:
    assert StateRestored().judge(drop(RollbackObserved)).answer is Answer.UNKNOWN


def test_a_second_attempt_that_nobody_struck_fails(edit: Edit) -> None:
    finding = StateRestored().judge(edit(RolledBack, work=Work(2, 100)))
    assert (finding.answer, finding.detail) == (Answer.FAIL, "env 1 step 5: 2 attempts were needed, and nothing had struck them")


@pytest.mark.parametrize("kind", ["governor.raise_in", "snapshot.corrupt"])
def test_a_second_attempt_may_follow_a_struck_one(edit: Edit, kind: str) -> None:
    evidence = edit(RolledBack, work=Work(2, 100))
    struck = replace(evidence, claim=replace(evidence.claim, fault_kinds=(kind,)))
    assert StateRestored().judge(struck).answer is Answer.PASS
