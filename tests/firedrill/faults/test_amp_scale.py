import math

import pytest
import torch

from firedrill.faults.amp_scale import AmpScale
from firedrill.faults.fault import CouldNotStrike, Scene, Strike
from firedrill.subjects.loop import Learner
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def stepped(scale: float) -> tuple[torch.Tensor, list[Strike]]:
    """A weight after a step with a scaler whose scale was struck."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    strikes: list[Strike] = []
    learner = Learner(torch.nn.Module(), {"host": optimizer}, scaler)
    AmpScale(scale).strike(learner, Scene(Point(0, 0), stream(0, "fault"), None, strikes.append))
    scaler.scale(weight.sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    return weight.detach(), strikes


@pytest.mark.parametrize(("scale", "weight"), [(8.0, 0.9), (0.0, math.nan), (math.nan, 1.0), (math.inf, 1.0)])
def test_a_step_is_right_or_poisoned_or_left_out(scale: float, weight: float) -> None:
    assert stepped(scale)[0].item() == pytest.approx(weight, nan_ok=True)


def test_the_witness_tells_the_scale() -> None:
    (strike,) = stepped(8.0)[1]
    assert (strike.place, strike.first_value) == ("scale of the scaler", "8.0")
    assert strike.before != strike.after


@pytest.mark.parametrize("scaler", [None, torch.amp.GradScaler("cpu", enabled=False)])
def test_without_a_scaler_nothing_is_struck(scaler: torch.amp.GradScaler | None) -> None:
    learner = Learner(torch.nn.Module(), {}, scaler)
    with pytest.raises(CouldNotStrike, match="no scaler"):
        AmpScale(0.0).strike(learner, Scene(Point(0, 0), stream(0, "fault"), None, lambda _: None))
