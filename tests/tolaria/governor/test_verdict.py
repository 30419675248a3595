from dataclasses import FrozenInstanceError

import pytest

from tolaria.governor.verdict import Standing, Verdict


def test_a_healthy_verdict_objects_to_nothing() -> None:
    assert Verdict.healthy() == Verdict(Standing.HEALTHY, None, 0)


def test_a_verdict_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Verdict.healthy().standing = Standing.COLLAPSED  # type: ignore[misc]  # that it is refused is the point
