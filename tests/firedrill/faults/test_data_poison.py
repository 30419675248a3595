import torch

from firedrill.faults.data_poison import DataPoison
from firedrill.faults.fault import Scene
from tolaria.seams import Batch
from tolaria.seeding import stream
from tolaria.telemetry.event import Point

SCENE = Scene(Point(0, 0), stream(0, "fault"), None, lambda _strike: None)


def batch() -> Batch:
    return Batch(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 1, 2]), 5)


def test_each_sample_gets_its_neighbours_label() -> None:
    passed = DataPoison("labels").strike(batch(), SCENE)
    assert (passed.inputs.flatten().tolist(), passed.targets.tolist()) == ([1.0, 2.0, 3.0], [2, 0, 1])


def test_one_sample_stands_for_all() -> None:
    passed = DataPoison("repeated").strike(batch(), SCENE)
    assert (passed.inputs.flatten().tolist(), passed.targets.tolist()) == ([1.0, 1.0, 1.0], [0, 0, 0])


def test_nothing_is_left_of_an_empty_batch_but_its_shape() -> None:
    passed = DataPoison("empty").strike(batch(), SCENE)
    assert (passed.inputs.shape, passed.targets.shape, passed.number) == ((0, 1), (0,), 5)


def test_the_data_itself_stays_as_it_is() -> None:
    data = batch()
    DataPoison("repeated").strike(data, SCENE)
    assert data.targets.tolist() == [0, 1, 2]
