import pytest

from firedrill.faults.fault import CouldNotStrike, Scene, Unfit
from firedrill.faults.loss_drift import LossDrift
from tolaria.seeding import stream
from tolaria.telemetry.event import Point
from tolaria.vitals import Vitals


def scene(step: int) -> Scene:
    return Scene(Point(step, 0), stream(0, "fault"), None, lambda _: None)


def test_the_loss_grows_by_the_rate_with_every_step() -> None:
    drift = LossDrift(1.5, since=4)
    assert [drift.strike(Vitals(step, 0.2, 0.2, 0.9, 1.0), scene(step)).val_loss for step in (4, 5)] == pytest.approx([0.3, 0.45])


def test_before_its_first_step_there_is_nothing_to_strike() -> None:
    with pytest.raises(CouldNotStrike):
        LossDrift(1.5, since=4).strike(Vitals(3, 0.2, 0.2, 0.9, 1.0), scene(3))


@pytest.mark.parametrize("rate", [1.0, 0.5, float("inf")])
def test_a_loss_that_does_not_grow_is_no_drift(rate: float) -> None:
    with pytest.raises(Unfit):
        LossDrift(rate, since=0)
