import math
from pathlib import Path

import torch

from firedrill.runner.plan import config_of
from firedrill.scenario.cell import cells
from firedrill.scenario.load import load_text
from firedrill.scenario.starter import starter
from firedrill.subjects.first_step import FirstStep
from tolaria.env.capsule import CapsuleHost
from tolaria.seams import NO_TAPS
from tolaria.telemetry.event import Point
from tolaria.telemetry.history import History
from tolaria.train.trainer import Trainer


def host_of(optimizer: str) -> CapsuleHost:
    """A host that has trained for one step."""
    text = starter("mine").replace("steps:", f"optimizer: {optimizer}\n  steps:", 1)
    (cell, *_) = cells(load_text(text, Path("scenarios/mine.yaml")))
    host = Trainer.tapped(config_of(cell), History(), NO_TAPS).run.envs.envs[0].training
    host.train(Point(0, 0))
    return host


def stepped(host: CapsuleHost, gradient: float) -> tuple[FirstStep, float]:
    """The optimizer steps by one gradient everywhere; what was seen before, and the largest change of any parameter."""
    for parameter in host.host.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    first = FirstStep.of(host)
    host.optimizers["host"].step()
    return first, max(float((p.detach() - q).abs().max()) for p, q in zip(host.host.parameters(), first.before, strict=True))


def test_what_went_furthest_is_seen_with_what_it_went_by() -> None:
    host = host_of("adam")
    first, moved = stepped(host, -0.25)
    seen = first.seen(host, Point(1, 0))
    assert (seen.optimizer, seen.gradient, seen.betas, seen.displacement) == ("Adam", 0.25, (0.9, 0.999), moved)
    assert moved > 0.0


def test_a_counter_that_is_no_number_is_seen_as_it_is() -> None:
    host = host_of("adam")
    first, _ = stepped(host, 0.25)
    for state in host.optimizers["host"].state.values():
        state["step"].fill_(math.nan)
    assert math.isnan(first.seen(host, Point(1, 0)).count)


def test_an_optimizer_without_a_counter_has_made_none() -> None:
    host = host_of("sgd")
    first, _ = stepped(host, 0.25)
    assert first.seen(host, Point(1, 0)).count == 0
