from collections.abc import Callable

import pytest

from firedrill.events import RollbackObserved, TensorSeen
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
