from dataclasses import replace

import torch

from firedrill.faults.fault import Scene, Strike
from firedrill.faults.snapshot_stale import SnapshotStale
from tolaria.seams import Observed
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def published(number: int, *numbers: float) -> Observed:
    return Observed(number, None, {f"host/{i}": torch.full((2,), value) for i, value in enumerate(numbers)})


def test_a_snapshot_holds_what_the_one_before_held_and_a_tensor_without_one_stays() -> None:
    strikes: list[Strike] = []
    scene = Scene(Point(5, 1), stream(1), None, strikes.append)
    first, second, third = published(1, 1.0), published(2, 2.0, 3.0), published(3, 4.0)
    for observed in (first, second, third):
        SnapshotStale().strike(observed, scene)
    assert [float(tensor[0]) for observed in (first, second, third) for tensor in observed.tensors.values()] == [1.0, 1.0, 3.0, 2.0]
    assert [strike.place for strike in strikes] == ["host/0", "host/0"]


def test_a_tensor_of_another_shape_is_left_alone() -> None:
    strikes: list[Strike] = []
    scene = Scene(Point(5, 1), stream(1), None, strikes.append)
    SnapshotStale().strike(published(1, 1.0), scene)
    grown = replace(published(2), tensors={"host/0": torch.full((3,), 2.0)})
    SnapshotStale().strike(grown, scene)
    assert (strikes, float(grown.tensors["host/0"][0])) == ([], 2.0)
