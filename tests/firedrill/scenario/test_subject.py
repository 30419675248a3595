import pytest

from firedrill.scenario.subject import BUFFERS, FAMILIES, PARAMETERS, SLOTS, ScriptLine
from tolaria.lifecycle.action import Action, Op
from tolaria.tasks import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_the_slots_and_the_family_are_those_of_the_host(task: str) -> None:
    host = TASKS[task]().build_host(0)
    assert SLOTS[task] == tuple(host.slots)
    assert FAMILIES[task] == host.family
    assert sorted(PARAMETERS[task]) == sorted(name for name, _ in host.named_parameters())
    assert sorted(BUFFERS[task]) == sorted(name for name, buffer in host.named_buffers() if buffer.is_floating_point())


def test_a_line_of_a_script_is_an_action() -> None:
    assert ScriptLine(step=1, op=Op.PRUNE, slot="s0").action == Action(Op.PRUNE, "s0")
