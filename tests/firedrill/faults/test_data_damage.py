import pytest
import torch

from firedrill.faults.data_damage import DataDamage
from firedrill.faults.fault import Scene, Strike, Unfit
from tolaria.seams import Batch
from tolaria.seeding import stream
from tolaria.telemetry.event import Point

FAULT = DataDamage(7.0, first=3, batches=2)


def struck(number: int | None) -> tuple[Batch, list[Strike]]:
    strikes: list[Strike] = []
    data = Batch(torch.ones(2, 3), torch.zeros(2, dtype=torch.int64), number)
    return FAULT.strike(data, Scene(Point(0, 0), stream(0, "fault"), None, strikes.append)), strikes


@pytest.mark.parametrize("number", [3, 4])
def test_the_first_number_of_every_input_of_a_damaged_batch_is_another(number: int) -> None:
    passed, (told,) = struck(number)
    assert passed.inputs.tolist() == [[7.0, 1.0, 1.0], [7.0, 1.0, 1.0]]
    assert (told.place, told.elements) == (f"inputs of batch {number}", 2)


@pytest.mark.parametrize("number", [2, 5, None])
def test_other_batches_pass_as_they_are_and_nobody_is_told(number: int | None) -> None:
    passed, strikes = struck(number)
    assert passed.inputs.tolist() == [[1.0, 1.0, 1.0]] * 2
    assert strikes == []


def test_a_stretch_of_no_batches_is_refused() -> None:
    with pytest.raises(Unfit, match="counts from 1"):
        DataDamage(7.0, first=0, batches=0)
