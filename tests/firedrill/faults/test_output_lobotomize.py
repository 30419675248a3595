from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import nn

from firedrill.faults.fault import CouldNotStrike, Scene
from firedrill.faults.output_lobotomize import OutputLobotomize
from tolaria.host.cnn_host import CnnHost
from tolaria.host.mlp_host import MlpHost
from tolaria.seams import Trainee
from tolaria.seeding import stream
from tolaria.telemetry.event import Point

SCENE = Scene(Point(1, 0), stream(1), None, lambda _strike: None)


def logits_after(fault: OutputLobotomize, host: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    fault.strike(cast("Trainee", SimpleNamespace(host=host)), SCENE)
    with torch.no_grad():
        logits: torch.Tensor = host.eval()(inputs)
    return logits


def mlp() -> MlpHost:
    host = MlpHost(inputs=2, width=4, depth=2, classes=3, seed=7)
    with torch.no_grad():
        host.get_parameter("head.bias").copy_(torch.tensor([0.1, 0.2, 0.3]))
    return host


POINTS = torch.tensor([[0.5, -1.0], [2.0, 1.0]])


def test_constant_logits_give_the_loss_of_a_guess() -> None:
    logits = logits_after(OutputLobotomize("constant_logits"), mlp(), POINTS)
    assert nn.functional.cross_entropy(logits, torch.tensor([0, 2])).item() == pytest.approx(1.0986123)


def test_a_zero_head_keeps_its_biases() -> None:
    assert torch.equal(logits_after(OutputLobotomize("zero_head"), mlp(), POINTS), torch.tensor([[0.1, 0.2, 0.3]] * 2))


def test_permuted_labels_move_each_logit_to_the_next_class() -> None:
    host = mlp()
    with torch.no_grad():
        before = host.eval()(POINTS)
    assert torch.allclose(logits_after(OutputLobotomize("permuted_labels"), host, POINTS), before.roll(1, 1))


def test_single_class_is_certain_of_one() -> None:
    assert torch.equal(logits_after(OutputLobotomize("single_class"), mlp(), POINTS), torch.tensor([[20.0, 0.0, 0.0]] * 2))


def test_the_head_of_a_convolutional_host_is_found() -> None:
    logits = logits_after(OutputLobotomize("single_class"), CnnHost(1, 2, 2, 3, seed=7), torch.ones(2, 1, 8, 8))
    assert torch.equal(logits, torch.tensor([[20.0, 0.0, 0.0]] * 2))


def test_a_host_without_a_head_is_no_strike() -> None:
    with pytest.raises(CouldNotStrike):
        logits_after(OutputLobotomize(), nn.Linear(2, 3), POINTS)
