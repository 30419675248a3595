from collections.abc import Callable

import pytest

from firedrill.events import RollbackObserved, SnapshotObserved, TensorSeen
from firedrill.oracles.clean import Clean
from firedrill.oracles.oracle import Answer, Evidence
from tolaria.telemetry.event import Event

Edit = Callable[..., Evidence]

POISONED = (TensorSeen("optimizer/host/head.weight/exp_avg_sq", "ff", 2, 0.0),)


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        (RollbackObserved, "env 1 step 5: optimizer/host/head.weight/exp_avg_sq held 2 non-finite numbers when snapshot 1 was restored"),
        (SnapshotObserved, "env 0 step 0: optimizer/host/head.weight/exp_avg_sq held 2 non-finite numbers when snapshot 0 was published"),
    ],
)
def test_a_number_that_is_not_finite_fails(edit: Edit, kind: type[Event], detail: str) -> None:
    finding = Clean().judge(edit(kind, tensors=POISONED))
    assert (finding.answer, finding.detail) == (Answer.FAIL, detail)
