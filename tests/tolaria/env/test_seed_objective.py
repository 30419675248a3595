import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tolaria.env.seed_objective import excess, regression_loss
from tolaria.errors import ConfigError
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.telemetry.event import Point

# Builds a host in training and keeps what it tells.
MakeHost = Callable[..., Any]


def test_the_wanted_change_is_a_step_against_each_samples_own_gradient() -> None:
    # The mean over two samples halves their gradients.
    gradient = torch.tensor([[0.5, 0.0], [0.0, -1.0]])
    wanted = torch.tensor([[-3.0, 0.0], [0.0, 6.0]])
    assert float(regression_loss(wanted, gradient, 3.0)) == 0.0
    assert float(regression_loss(wanted + torch.tensor([[1.0, 1.0], [0.0, 0.0]]), gradient, 3.0)) == pytest.approx(0.5)


def test_only_what_is_above_its_share_is_pulled_back() -> None:
    features = torch.tensor([[3.0, 4.0]])
    assert float(excess(torch.tensor([[0.0, 4.5]]), features, 1.0)) == 0.0
    assert float(excess(torch.tensor([[0.0, 10.0]]), features, 1.0)) == pytest.approx(1.1)
    change = torch.tensor([[0.0, 10.0]], requires_grad=True)
    excess(change, features, 1.0).backward()
    assert change.grad is not None
    assert (change.grad * change.detach()).sum() > 0.0


def in_training(make_host: MakeHost, gates: GateConfig, **settings: Any) -> Any:
    host = make_host(batches_per_step=10, **settings).subject
    for action in (Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp"), Action(op=Op.ADVANCE, slot="s0")):
        assert host.apply(action, gates, Point(0, 0))
    return host


def step(host: Any, number: int) -> None:
    host.train(Point(number, 0))
    host.measure_seeds(Point(0, 0))


def loss_at_full_strength(host: Any) -> float:
    slot, data = host.host.slot("s0"), host.task.train
    host.host.train()
    host.host(data.inputs)
    loss = host.task.loss(host.host.shadow("s0", host.host.features_at("s0")), data.targets)
    assert slot.state.alpha == 0.0
    return float(loss.detach())


@pytest.mark.parametrize("objective", ["shadow", "regression"])
def test_a_seed_learns_what_lowers_the_loss_and_does_not_explode(objective: str, make_host: MakeHost, open_gates: GateConfig) -> None:
    host = in_training(make_host, open_gates, seed_objective=objective)
    for number in range(15):
        step(host, number)
    alone = host.task.loss(host.host(host.task.train.inputs), host.task.train.targets)
    assert loss_at_full_strength(host) < float(alone.detach()) - 0.01
    assert 0.0 < host.state("s0").magnitude < 1.5


def test_a_seed_above_its_share_comes_back_below_it(make_host: MakeHost, open_gates: GateConfig) -> None:
    magnitudes = []
    for share in (1e9, 0.5):
        host = in_training(make_host, open_gates, seed_magnitude_max=share)
        with torch.no_grad():
            for parameter in host.host.slot("s0").seed.parameters():
                parameter.mul_(2.0).add_(0.3)
        host.host.slot("s0").state = replace(host.state("s0"), magnitude=9.0)
        for number in range(15):
            step(host, number)
        magnitudes.append(host.state("s0").magnitude)
    assert magnitudes[0] > 1.5
    assert magnitudes[1] < 0.8


def test_a_seed_of_nan_is_not_pulled_anywhere(make_host: MakeHost, open_gates: GateConfig) -> None:
    host = in_training(make_host, open_gates)
    host.host.slot("s0").state = replace(host.state("s0"), magnitude=math.nan)
    step(host, 0)
    assert math.isfinite(host.state("s0").magnitude)


def test_the_regression_asks_for_no_second_pass(make_host: MakeHost, open_gates: GateConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    host = in_training(make_host, open_gates, seed_objective="regression")
    monkeypatch.setattr(type(host.host), "shadow", None)
    step(host, 0)
    assert host.state("s0").magnitude > 0.0


@pytest.mark.parametrize(("name", "value"), [("seed_objective", "straight"), ("regression_reach", 0.0), ("seed_magnitude_max", math.nan)])
def test_nonsense_is_refused(name: str, value: object, make_host: MakeHost) -> None:
    with pytest.raises(ConfigError, match=f"training.{name}"):
        make_host(**{name: value})
