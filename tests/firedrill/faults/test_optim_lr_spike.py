from types import SimpleNamespace
from typing import cast

import torch

from firedrill.faults.fault import Scene, Strike
from firedrill.faults.optim_lr_spike import OptimLrSpike
from tolaria.seams import Trainee
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def test_one_step_is_too_large_and_the_next_is_as_before() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    engine = torch.optim.SGD([weight], lr=0.5)
    strikes: list[Strike] = []
    trainee = cast("Trainee", SimpleNamespace(optimizers={"host": engine}))
    OptimLrSpike(4.0).strike(trainee, Scene(Point(0, 0), stream(0, "fault"), None, strikes.append))
    assert not strikes
    passed = []
    for _ in range(2):
        weight.grad = torch.ones(1)
        # Whoever trains sets the rate before each step.
        engine.param_groups[0]["lr"] = 0.5
        engine.step()
        passed.append(weight.item())
    assert passed == [-2.0, -2.5]
    assert [strike.first_value for strike in strikes] == ["2.0"]


def test_the_old_rate_stands_again_where_nobody_sets_another() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    engine = torch.optim.SGD([weight], lr=0.5)
    trainee = cast("Trainee", SimpleNamespace(optimizers={"host": engine}))
    OptimLrSpike(4.0).strike(trainee, Scene(Point(0, 0), stream(0, "fault"), None, lambda _: None))
    passed = []
    for _ in range(2):
        weight.grad = torch.ones(1)
        engine.step()
        passed.append(weight.item())
    assert passed == [-2.0, -2.5]
