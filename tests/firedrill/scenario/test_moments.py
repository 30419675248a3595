"""Triggers that can never fire are refused, each with a reason, and those that are like them and can fire are not."""

import pytest

from firedrill.scenario.load import InvalidScenario, load
from firedrill.scenario.problem import Problem

from .conftest import Write

AT = "{step: 8, env: 1}"
DO = 'do: tensor.set\n    target: {params: "head.*", pick: {count: 1}}\n    with: {value: nan}'
STORED = ("steps: 16", "steps: 16, checkpoint_every: 4")
LEARNED = ("steps: 16", "steps: 16, policy: ppo, rollout_steps: 5")
# So that there is something that trouble can come of.
OTHER = "expect:", "  - {at: {step: 3, env: 1}, do: tensor.zero, target: {params: head.bias}}\nexpect:"
KILL = DO, "do: proc.sigkill"
TORN = DO, "do: io.torn"
NAN_ADVANTAGE = DO, "do: ppo.nan_advantage"


def complaints(write: Write, *replacements: tuple[str, str]) -> tuple[Problem, ...]:
    try:
        load(write(*replacements))
    except InvalidScenario as refused:
        return refused.problems
    return ()


def at(moment: str) -> tuple[str, str]:
    return AT, f"{{{moment}}}"


NEVER = [
    # Outside of the run, of its environments and batches.
    ([at("step: 16, env: 1")], "there are 16 steps"),
    ([at("step: 8, env: 2")], "there are 2 environments"),
    ([at("step: 8, env: 1, batch: 10")], "there are 10 batches a step"),
    ([at("step: 8, env: 1, batch: 1, phase: step_begun")], "step_begun has no batches"),
    # Events that cannot happen here.
    ([at("event: run_finished, env: 1")], "nothing to strike"),
    ([at("event: run_started, occurrence: 2, env: 1")], "begins once"),
    ([at("event: environment_retired, env: 1"), OTHER], "no step any more"),
    ([at("event: update_finished, env: 1")], "policy ppo learns"),
    ([at("event: update_gated, env: 1")], "behind a gate"),
    ([at("event: stage_changed, env: 1")], "about any slot"),
    ([at("event: storage_failed, env: 1"), OTHER], "no disk"),
    ([at("event: rolled_back, env: 1, plus_steps: 1")], "nothing strikes before it"),
    ([at("event: collapsed, env: 1, plus_steps: 1")], "nothing strikes before it"),
    ([at("event: snapshot_taken, env: 1"), ("steps: 16", "steps: 16, governor: {enabled: false}")], "the governor is off"),
    # Too often, or too late.
    ([at("event: step_finished, occurrence: 16, plus_steps: 1, env: 1")], "too few"),
    ([at("event: rolled_back, occurrence: 4, plus_steps: 1, env: 1"), OTHER], "retired before"),
    ([at("event: rolled_back, env: 1"), OTHER], "is over when rolled_back comes"),
    ([at("event: step_finished, occurrence: 3, env: 1")], "is over when step_finished comes"),
    ([at("condition: {metric: val_loss, below: 0.5}, plus_steps: 15, env: 1")], "at the soonest"),
    # Conditions that cannot hold.
    ([at("condition: {metric: val_loss, below: 0.0}, env: 1")], "never below"),
    ([at("condition: {metric: val_accuracy, above: 1.0}, env: 1")], "never above"),
    # What comes in some steps only, and once for all environments.
    ([at("step: 8"), TORN], "nothing is stored"),
    ([at("step: 9"), TORN, STORED], "no checkpoint is due at step 9"),
    ([at("step: 8, env: 1"), TORN, STORED], "once for all environments"),
    ([at("event: step_finished, occurrence: 4"), TORN, STORED], "for a step only"),
    ([at("step: 8, phase: checkpoint_due"), KILL], "nothing is stored"),
    ([at("step: 8, env: all"), NAN_ADVANTAGE, LEARNED], "no rollout ends with step 8"),
]

SOMETIMES = [
    [at("event: step_finished, occurrence: 15, plus_steps: 1, env: 1")],
    [at("event: step_finished, occurrence: 16, env: 1, phase: step_finished")],
    [at("event: rolled_back, occurrence: 3, plus_steps: 1, env: 1"), OTHER],
    [at("event: rolled_back, env: 1, for_steps: 2"), OTHER],
    [at("event: snapshot_taken, env: 1")],
    [at("event: snapshot_taken, occurrence: 2, env: 1, phase: snapshot_taken")],
    [at("event: storage_failed, plus_steps: 1, env: 1"), STORED, ("expect:", "  - {at: {step: 4}, do: io.eio}\nexpect:")],
    [at("condition: {metric: val_loss, below: 0.5}, plus_steps: 14, env: 1")],
    [at("step: 8"), TORN, STORED],
    [at("step: 0, env: all"), TORN, STORED],
    [at("step: 5, for_steps: forever"), TORN, STORED],
    [at("step: 9, env: all"), NAN_ADVANTAGE, LEARNED],
    [at("step: last, env: all"), NAN_ADVANTAGE, LEARNED],
]


@pytest.mark.parametrize(("replacements", "reason"), NEVER)
def test_what_can_never_strike_is_refused_with_its_reason(write: Write, replacements: list[tuple[str, str]], reason: str) -> None:
    (found,) = complaints(write, *replacements)
    assert (found.code, reason in found.message) == ("FD016", True), found.render()
    assert found.line == 7
    assert found.expected or found.suggestion or "never" in found.message


@pytest.mark.parametrize("replacements", SOMETIMES)
def test_what_can_strike_is_accepted(write: Write, replacements: list[tuple[str, str]]) -> None:
    assert [found.render() for found in complaints(write, *replacements)] == []


def test_a_checkpoint_is_struck_once_however_many_environments_there_are(write: Write) -> None:
    planned = load(write(at("step: 8"), TORN, STORED)).faults[0]
    assert (planned.at.phase, planned.declared_strikes(2)) == ("checkpoint_due", 1)


def test_of_a_stretch_of_checkpoints_one_strike_at_least_is_declared(write: Write) -> None:
    assert load(write(at("step: 4, for_steps: 9"), TORN, STORED)).faults[0].declared_strikes(2) is None
