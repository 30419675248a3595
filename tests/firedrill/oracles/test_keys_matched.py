from collections.abc import Callable
from dataclasses import replace

import pytest

from firedrill.events import RollbackObserved, SnapshotObserved, TensorSeen
from firedrill.oracles.keys_matched import KeysMatched
from firedrill.oracles.oracle import Answer, Evidence, of

Edit = Callable[..., Evidence]


def test_a_missing_key_fails(edit: Edit, healed: Evidence) -> None:
    tensors = of(healed.faulted, RollbackObserved)[0].tensors
    finding = KeysMatched().judge(edit(RollbackObserved, tensors=tensors[1:]))
    assert finding.detail == "env 1 step 5: host/head.weight is missing"


def test_a_key_that_was_not_saved_fails(edit: Edit, healed: Evidence) -> None:
    tensors = of(healed.faulted, RollbackObserved)[0].tensors
    surplus = TensorSeen("host/slots.s0.seed.0.weight", "99", 0, 0.1)
    finding = KeysMatched().judge(edit(RollbackObserved, tensors=(*tensors, surplus)))
    assert finding.detail == "env 1 step 5: host/slots.s0.seed.0.weight was not in the snapshot"


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [("identity_kept", False, "identity"), ("optimizer_live", False, "optimizer"), ("occupied", ("s0",), "occupied")],
)
def test_what_does_not_fit_fails(edit: Edit, field: str, value: object, key: str) -> None:
    finding = KeysMatched().judge(edit(RollbackObserved, **{field: value}))
    assert (finding.answer, finding.key) == (Answer.FAIL, key)


def test_a_growing_seed_that_does_not_come_back_fails_where_it_should(edit: Edit, healed: Evidence) -> None:
    claim = replace(healed.claim, live_seeds="restore")
    tensors = of(healed.faulted, SnapshotObserved)[-1].tensors
    assert "host/slots.s0.seed.0.weight" in {tensor.name for tensor in tensors}
    there = replace(edit(RollbackObserved, tensors=tensors, occupied=("s0",)), claim=claim)
    gone = replace(edit(RollbackObserved, tensors=tensors, occupied=()), claim=claim)
    assert KeysMatched().judge(there).answer is Answer.PASS
    assert (KeysMatched().judge(gone).answer, KeysMatched().judge(gone).key) == (Answer.FAIL, "bereft")
