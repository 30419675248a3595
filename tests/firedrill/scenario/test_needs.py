"""A fault whose subject lacks what it strikes is refused."""

import pytest

from firedrill.scenario.load import InvalidScenario, load

from .conftest import Write

FAULT = 'do: tensor.set\n    target: {params: "head.*", pick: {count: 1}}\n    with: {value: nan}'
OFF = ("steps: 16", "steps: 16, governor: {enabled: false}")


@pytest.mark.parametrize(
    ("fault", "more", "message"),
    [
        ("do: ppo.nan_logits", [], "a controller that learns"),
        ("do: governor.suppress", [OFF], "it is off"),
        ("do: snapshot.corrupt", [OFF], "it is off"),
        ("do: cuda.sticky", [], "the matrix has a CPU"),
        ("do: cuda.oom", [], "the matrix has a CPU"),
        ("do: data.damage\n    with: {value: nan, first: 160, batches: 1}", [], "there are 160 batches in all"),
        ("do: loss.drift\n    with: {rate: 1.3, since: 16}", [], "there are 16 steps"),
        ("do: optim.poison\n    with: {field: exp_avg, value: 0.0}", [], "sgd keeps no exp_avg"),
        ("do: proc.sigkill", [("  - core", "  - core\nbudget: {resumes: 1}")], "nothing is stored"),
    ],
)
def test_what_is_lacking_is_said(write: Write, fault: str, more: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InvalidScenario) as refused:
        load(write((FAULT, fault), *more))
    (found,) = refused.value.problems
    assert (found.code, message in found.message) == ("FD016", True), found.render()


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("do: ppo.nan_logits", [("steps: 16", "steps: 16, policy: ppo")]),
        ("do: cuda.sticky", [("  - core", "  - core\nmatrix: {device: [cuda]}")]),
        ("do: data.damage\n    with: {value: nan, first: 159, batches: 1}", []),
        ("do: optim.poison\n    with: {field: momentum, value: 0.0}", []),
        ("do: proc.sigkill", [("steps: 16", "steps: 16, checkpoint_every: 2"), ("  - core", "  - core\nbudget: {resumes: 1}")]),
    ],
)
def test_what_has_all_it_needs_is_accepted(write: Write, fault: str, more: list[tuple[str, str]]) -> None:
    assert load(write((FAULT, fault), *more)).faults
