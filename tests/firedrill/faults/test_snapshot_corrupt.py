import pytest
import torch

from firedrill.faults.fault import CouldNotStrike, Scene, Strike
from firedrill.faults.snapshot_corrupt import SnapshotCorrupt
from tolaria.governor.snapshots import SnapshotRing
from tolaria.seams import Observed
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def scene(strikes: list[Strike]) -> Scene:
    return Scene(Point(0, 0), stream(0, "fault"), None, strikes.append)


def test_one_bit_of_the_snapshot_changes_and_the_digest_tells() -> None:
    live = {"host/weight": torch.ones(5), "host/count": torch.tensor(3)}
    snapshot = SnapshotRing(kept=2, probation=0).take(live, {}, 0, "begin", None, lambda _: None)
    assert snapshot.is_intact()
    for _ in range(4):
        strikes: list[Strike] = []
        SnapshotCorrupt().strike(Observed(snapshot.number, None, snapshot.tensors), scene(strikes))
        assert len(strikes) == 1
        assert not snapshot.is_intact()
        # The same byte again: a bit that is turned twice is as it was.
        SnapshotCorrupt().strike(Observed(snapshot.number, None, snapshot.tensors), scene(strikes))
        assert snapshot.is_intact()
    assert live["host/weight"].tolist() == [1.0] * 5


def test_an_empty_snapshot_cannot_rot() -> None:
    with pytest.raises(CouldNotStrike, match="snapshot 3 holds nothing"):
        SnapshotCorrupt().strike(Observed(3, None), scene([]))
