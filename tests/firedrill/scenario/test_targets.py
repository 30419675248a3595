"""Selectors that can select nothing, or nothing that is ever read, are refused; those that may select a seed are not."""

import pytest

from firedrill.scenario.load import InvalidScenario, load
from firedrill.scenario.problem import Problem

from .conftest import Write

DIGITS = ("task: spirals", "task: digits")
SOWN = ("steps: 16", "steps: 16, script: [{step: 1, op: germinate, slot: s0, blueprint: mlp_norm}]")
ADAM = ("steps: 16", "steps: 16, optimizer: adam")


def complaints(write: Write, target: str, *replacements: tuple[str, str]) -> tuple[Problem, ...]:
    try:
        load(write(('{params: "head.*", pick: {count: 1}}', f"{{{target}}}"), *replacements))
    except InvalidScenario as refused:
        return refused.problems
    return ()


NOTHING = [
    ('params: "haed.*"', [], "FD017", "head.*"),
    ("buffers: running_mean", [], "FD017", "a task whose host has such tensors"),
    ('activations: "block.*"', [], "FD017", "blocks.*"),
    ('activations: "blocks.2"', [], "FD017", "blocks.0"),
    ('params: "*", type: Conv2d', [], "FD017", "Linear"),
    ('params: "*", type: Lineer', [], "FD017", "Linear"),
    ('buffers: "*", type: Linear, role: trunk', [DIGITS], "FD017", "fit the names"),
    ('params: "head.*", role: trunk', [], "FD017", "fit the names"),
    ('params: "head.*", role: seed', [], "FD017", "slots.*"),
    ('params: "blocks.*", depth: 2', [], "FD017", "-2 to 1"),
    ('params: "blocks.*", depth: -3', [], "FD017", "-2 to 1"),
    ('params: "*", role: head, depth: 1', [], "FD017", "-1 to 0"),
    ('optimizer: "host/*/exp_avg"', [], "FD017", "momentum_buffer"),
    ('optimizer: "host/*/momentum_buffer"', [ADAM], "FD017", "exp_avg"),
    ("slot: s1", [SOWN], "FD017", "germinate"),
    ("slot: s0", [], "FD017", "germinate"),
    ('grads: "head.*"', [("step: 8, env: 1", "step: 8, env: 1, phase: step_begun")], "FD016", "gradients_ready"),
]

SOMETHING = [
    ('params: "head.*"', []),
    ('buffers: "*running_mean"', [DIGITS]),
    ('activations: "blocks.*", type: Linear, depth: -1', []),
    ('params: "*", type: "Batch*"', [DIGITS]),
    ('params: "*", type: LayerNorm', [SOWN]),
    ('params: "blocks.*", depth: -2', []),
    # How many seeds there will be is not known.
    ('params: "*", depth: 9', [SOWN]),
    ('params: "slots.s0.*", role: fossil', [SOWN]),
    ('optimizer: "host/*/exp_avg_sq"', [ADAM]),
    ('optimizer: "*"', []),
    ("slot: s0", [SOWN]),
    ("slot: s1", [("steps: 16", "steps: 16, policy: random")]),
    ('grads: "head.*"', []),
]


@pytest.mark.parametrize(("target", "replacements", "code", "told"), NOTHING)
def test_what_selects_nothing_is_refused(write: Write, target: str, replacements: list[tuple[str, str]], code: str, told: str) -> None:
    (found,) = complaints(write, target, *replacements)
    assert (found.code, found.line) == (code, 9), found.render()
    assert told in f"{found.expected} {found.suggestion}"


@pytest.mark.parametrize(("target", "replacements"), SOMETHING)
def test_what_may_select_something_is_accepted(write: Write, target: str, replacements: list[tuple[str, str]]) -> None:
    assert [found.render() for found in complaints(write, target, *replacements)] == []
