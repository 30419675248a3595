from collections.abc import Callable

import pytest

from tolaria.errors import ConfigError
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.policy.scripted import ScriptedMove, ScriptedPolicy
from tolaria.policy.view import View

GERMINATE = Action(Op.GERMINATE, "s0", "mlp")
PRUNE = Action(Op.PRUNE, "s0")


def decisions(controller: ScriptedPolicy, make_view: Callable[..., View], steps: int) -> list[list[Action]]:
    return [[choice.action for choice in controller.act([make_view(env=0), make_view(env=1)])] for _ in range(steps)]


def test_moves_come_in_their_step_and_environment_and_waiting_elsewhere(make_view: Callable[..., View]) -> None:
    controller = ScriptedPolicy([ScriptedMove(1, 1, GERMINATE), ScriptedMove(2, None, PRUNE)])
    assert decisions(controller, make_view, 4) == [[WAIT, WAIT], [WAIT, GERMINATE], [PRUNE, PRUNE], [WAIT, WAIT]]


def test_a_move_for_one_environment_beats_one_for_all(make_view: Callable[..., View]) -> None:
    controller = ScriptedPolicy([ScriptedMove(0, None, PRUNE), ScriptedMove(0, 0, GERMINATE)])
    assert decisions(controller, make_view, 1) == [[GERMINATE, PRUNE]]


def test_the_run_counts_and_not_the_episode(make_view: Callable[..., View]) -> None:
    controller = ScriptedPolicy([ScriptedMove(1, None, PRUNE)])
    controller.decide(make_view(episode_step=1))
    controller.begin_life(0)
    assert controller.decide(make_view(episode_step=0)) == PRUNE


def test_a_restored_script_goes_on(make_view: Callable[..., View]) -> None:
    script = [ScriptedMove(2, None, PRUNE)]
    controller, other = ScriptedPolicy(script), ScriptedPolicy(script)
    decisions(controller, make_view, 2)
    other.restore({}, controller.facts())
    assert decisions(other, make_view, 1) == [[PRUNE, PRUNE]]


def test_two_moves_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"script\[1\]"):
        ScriptedPolicy([ScriptedMove(0, 0, PRUNE), ScriptedMove(0, 0, GERMINATE)])


def test_a_step_before_the_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="step"):
        ScriptedPolicy([ScriptedMove(-1, 0, PRUNE)])
