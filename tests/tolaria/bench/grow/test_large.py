import pytest
import torch

from tolaria.bench.grow.large import enlarged, strongest
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.host.germination import parameters_of
from tolaria.tasks import TASKS


@pytest.mark.parametrize("task", ["spirals", "spirals_impaired", "digits_impaired", "pydoc_lm"])
def test_a_large_host_has_what_growing_can_reach_as_parts_of_its_own(task: str) -> None:
    small = TASKS[task]().build_host(3)
    large = enlarged(TASKS[task]()).build_host(3)
    added = sum(parameters_of(strongest(small.family), channels) for channels in small.channels.values())
    assert large.host_parameters() == small.host_parameters() + added
    assert large.seed_parameters() == 0
    # It begins with the very weights of the small one, and what was added is zero at first.
    inputs = TASKS[task]().train.inputs[:4]
    assert torch.equal(large.eval()(inputs), small.eval()(inputs))


@pytest.mark.parametrize("family", ["conv", "mlp", "transformer"])
def test_the_strongest_blueprint_is_the_largest(family: str) -> None:
    sizes = {name: parameters_of(name, 16) for name, blueprint in BLUEPRINTS.items() if blueprint.family == family}
    assert sizes[strongest(family)] == max(sizes.values())
