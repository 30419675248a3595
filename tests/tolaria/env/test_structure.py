"""Hosts of one structure do the same; what is only a number is no part of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tolaria.env.capsule import CapsuleHost
from tolaria.env.roles import FOSSIL, ISOLATED, LEARNING
from tolaria.env.structure import Part, can_be_captured, structure_of
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.seed import Blend
from tolaria.telemetry.event import Point

AT = Point(0, 0)
SEED = Action(op=Op.GERMINATE, slot="s0", blueprint="residual_mlp", blend=Blend.GATE, tempo=2)


def part(role: str, pulled: bool = False) -> Part:
    return Part("s0", "residual_mlp", Blend.GATE, role, pulled)


@pytest.fixture
def host(make_host: Callable[..., Any]) -> CapsuleHost:
    built: CapsuleHost = make_host().subject
    return built


def test_a_structure_is_what_is_computed(host: CapsuleHost) -> None:
    seen = [structure_of(host)]
    host.germinate(SEED, AT, "test", "test")
    seen.append(structure_of(host))
    for _ in range(2):
        host.advance("s0", AT, "test", "test")
        seen.append(structure_of(host))
    host.tick(AT)
    seen.append(structure_of(host))
    # A seed that has only germinated computes nothing, and neither does one whose blending has not begun.
    assert seen == [(), (), (part(ISOLATED),), (), (part(LEARNING),)]


def test_how_strongly_a_seed_is_mixed_in_is_no_part_of_it(host: CapsuleHost) -> None:
    host.germinate(SEED, AT, "test", "test")
    for _ in range(2):
        host.advance("s0", AT, "test", "test")
    alphas, structures = [], []
    for _ in range(2):
        host.tick(AT)
        alphas.append(host.state("s0").alpha)
        structures.append(structure_of(host))
    assert alphas == [0.5, 1.0]
    assert structures == [(part(LEARNING),)] * 2
    host.advance("s0", AT, "test", "test")
    # Held is blended, and committed is not, because it learns no more.
    assert structure_of(host) == (part(LEARNING),)
    host.fossilize("s0", AT, "test", "test")
    assert structure_of(host) == (part(FOSSIL),)


def test_a_seed_that_is_pulled_back_has_another_objective(host: CapsuleHost) -> None:
    host.germinate(SEED, AT, "test", "test")
    host.advance("s0", AT, "test", "test")
    slot = host.host.slot("s0")
    for magnitude, pulled in ((0.5, False), (1.0, False), (1.1, True), (float("nan"), False)):
        slot.state = replace(slot.state, magnitude=magnitude)
        assert structure_of(host) == (part(ISOLATED, pulled),)


def listen_to_a_block(host: CapsuleHost) -> None:
    host.host.blocks[0].register_forward_hook(lambda _module, _inputs, output: output)


def listen_to_a_seed(host: CapsuleHost) -> None:
    host.host.slot("s0").seed.register_full_backward_hook(lambda *_: None)  # type: ignore[union-attr] - it has grown


def listen_to_an_optimizer(host: CapsuleHost) -> None:
    host.optimizers["s0.1"].register_step_post_hook(lambda *_: None)


def listen_to_a_weight(host: CapsuleHost) -> None:
    next(host.host.parameters()).register_hook(lambda gradient: gradient)


def freeze(host: CapsuleHost) -> None:
    next(host.host.parameters()).requires_grad_(False)


def change_the_dtype(host: CapsuleHost) -> None:
    host.host.bfloat16()


def derive(host: CapsuleHost) -> None:
    host.host.__class__ = type("Other", (type(host.host),), {})


@pytest.mark.parametrize(
    "change", [listen_to_a_block, listen_to_a_seed, listen_to_an_optimizer, listen_to_a_weight, freeze, change_the_dtype, derive]
)
def test_whatever_a_graph_would_pass_by_is_not_captured(host: CapsuleHost, change: Callable[[CapsuleHost], None]) -> None:
    host.germinate(SEED, AT, "test", "test")
    assert can_be_captured(host)
    host.advance("s0", AT, "test", "test")
    assert can_be_captured(host)
    change(host)
    assert not can_be_captured(host)
