from types import SimpleNamespace
from typing import cast

import pytest
import torch

from firedrill.faults.fault import CouldNotStrike, Scene
from firedrill.faults.target import Target
from firedrill.faults.unit_kill_relu import UnitKillRelu
from tolaria.host.cnn_host import CnnHost
from tolaria.seams import Trainee
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


def kill(host: CnnHost, pattern: str) -> None:
    trainee = cast("Trainee", SimpleNamespace(host=host))
    UnitKillRelu().strike(trainee, Scene(Point(0, 0), stream(0, "fault"), Target(params=pattern), lambda _strike: None))


def test_dead_units_give_the_same_answer_to_everything_and_get_no_gradient() -> None:
    host = CnnHost(in_channels=1, width=2, depth=2, classes=3, seed=7)
    kill(host, "blocks.1.norm.bias")
    logits = host(torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(logits, logits[:1].expand_as(logits))
    logits.sum().backward()
    gradients = [parameter.grad for name, parameter in host.named_parameters() if name.startswith("blocks.")]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_what_is_no_bias_is_no_strike() -> None:
    with pytest.raises(CouldNotStrike, match=r"blocks\.0\.norm\.weight is none"):
        kill(CnnHost(in_channels=1, width=2, depth=2, classes=3, seed=7), "blocks.0.norm.*")
