import pytest
import torch

from firedrill.scenario.subject import BUFFERS, FAMILIES, MODULES, PARAMETERS, SEED_TYPES, SLOTS, ScriptLine
from tolaria.catalogue import BLUEPRINT_NAMES
from tolaria.host.germination import build_seed
from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.seed import Blend
from tolaria.tasks import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_the_slots_and_the_family_are_those_of_the_host(task: str) -> None:
    host = TASKS[task]().build_host(0)
    assert SLOTS[task] == tuple(host.slots)
    assert FAMILIES[task] == host.family
    assert sorted(PARAMETERS[task]) == sorted(name for name, _ in host.named_parameters())
    assert sorted(BUFFERS[task]) == sorted(name for name, buffer in host.named_buffers() if buffer.is_floating_point())


@pytest.mark.parametrize("task", TASKS)
def test_the_modules_are_those_of_the_host(task: str) -> None:
    host = TASKS[task]().build_host(0)
    computing = {name: type(module).__name__ for name, module in host.named_modules() if name not in {"", "blocks", "slots"}}
    assert MODULES[task] == computing


@pytest.mark.parametrize("family", BLUEPRINT_NAMES)
def test_the_types_of_seeds_are_those_of_their_blueprints(family: str) -> None:
    like = torch.zeros(1)
    seeds = [build_seed(blueprint, family, 8, 0, like, blend) for blueprint in BLUEPRINT_NAMES[family] for blend in Blend]
    assert SEED_TYPES[family] == tuple(sorted({type(module).__name__ for seed in seeds for module in seed.modules()}))


def test_a_line_of_a_script_is_an_action() -> None:
    assert ScriptLine(step=1, op=Op.PRUNE, slot="s0").action == Action(Op.PRUNE, "s0")
