import torch

from firedrill.faults.data_set import DataSet
from firedrill.faults.fault import Scene, Strike
from tolaria.seams import Batch
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def test_what_passes_is_changed_and_the_data_is_not() -> None:
    strikes: list[Strike] = []
    data = Batch(torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 2]))
    passed = DataSet(7.0, samples=2).strike(data, Scene(Point(0, 0), stream(0, "fault"), None, strikes.append))
    assert data.inputs.sum() == 0.0
    assert passed.inputs.nonzero().tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
    assert [strike.elements for strike in strikes] == [2]
