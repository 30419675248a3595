"""The whole state of a host in training, from whatever stage to whatever stage, for every blueprint and every blend."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend
from tolaria.lifecycle.stage import OCCUPIED, Stage
from tolaria.telemetry.event import Point

OPEN = GateConfig(training_steps_min=0, magnitude_max=1e9, holding_steps_min=0, contribution_min=-1.0, prune_age_min=0, seeds_max=2)

Train = Callable[..., CapsuleHost]
Saved = tuple[dict[str, torch.Tensor], str]


def saved(host: CapsuleHost) -> Saved:
    """A checkpoint: copies of all tensors, and the facts as a file would hold them."""
    tensors = {name: tensor.detach().clone() for name, tensor in host.all_tensors().items()}
    return tensors, json.dumps(host.checkpoint_facts(), sort_keys=True)


def raw(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def resume(host: CapsuleHost, checkpoint: Saved) -> None:
    facts: dict[str, Any] = json.loads(checkpoint[1])
    host.resume(checkpoint[0], facts)


def lives(host: CapsuleHost, blueprint: str, blend: Blend) -> dict[Stage, Saved]:
    """A checkpoint in every stage, a batch of training in each, so that seeds, gates and optimizers hold numbers of their own."""
    found: dict[Stage, Saved] = {}

    def step(action: Action | None) -> None:
        at = Point(len(found))
        if action is not None:
            assert host.apply(action, OPEN, at)
        host.train(at)
        host.measure_seeds(Point(0, 0))
        found[host.state("s0").stage] = saved(host)
        host.tick(at)

    step(None)
    step(Action(Op.GERMINATE, "s0", blueprint, blend, tempo=3, alpha_target=0.7))
    for _ in range(3):
        step(Action(Op.ADVANCE, "s0"))
        while not host.state("s0").ramp.finished:
            step(None)
    held = saved(host)
    step(Action(Op.FOSSILIZE, "s0"))
    resume(host, held)
    step(Action(Op.PRUNE, "s0"))
    while host.state("s0").stage is not Stage.DORMANT:
        step(None)
    return found


def every_pair(stages: list[Stage]) -> list[Stage]:
    """A walk in which every stage follows every stage, itself included, at least once."""
    walk = [stages[0]]
    for index, first in enumerate(stages):
        walk.append(first)
        for second in stages[index + 1 :]:
            walk += [second, first]
        walk += stages[index + 1 : index + 2]
    return walk


def test_the_walk_has_every_pair() -> None:
    walk = every_pair(list(Stage))
    assert set(pairwise(walk)) >= {(first, second) for first in Stage for second in Stage}


@pytest.mark.parametrize("blend", Blend)
@pytest.mark.parametrize("name", sorted(BLUEPRINTS))
def test_a_host_comes_back_to_the_last_bit_whatever_became_of_it(name: str, blend: Blend, train_small: Train) -> None:
    family = BLUEPRINTS[name].family
    checkpoints = lives(train_small(family), name, blend)
    assert checkpoints.keys() == set(Stage)
    live = train_small(family)
    walk = every_pair(list(Stage))
    for stage in walk:
        resume(live, checkpoints[stage])
        tensors, facts = checkpoints[stage]
        assert live.state("s0").stage is stage
        assert (live.host.slot("s0").seed is not None) == (stage in OCCUPIED)
        assert raw(live.all_tensors()) == raw(tensors)
        assert json.dumps(live.checkpoint_facts(), sort_keys=True) == facts
