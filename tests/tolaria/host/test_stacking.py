"""A lane of a stack is its module's own answer, and has the same bits whoever else is in the stack."""

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from tolaria.host.blend import Gated
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.host.mlp_host import DenseBlock
from tolaria.host.stacking import ROWS, is_stackable, merged, picked, stacked

LANES, WIDTH = 7, 24
MODULES: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: DenseBlock(WIDTH, WIDTH),
    "head": lambda: nn.Linear(WIDTH, 3),
    "without bias": lambda: nn.Linear(WIDTH, 5, bias=False),
} | {
    f"{name}, {'gated' if gated else 'plain'}": lambda name=name, gated=gated: seed(name, gated)
    for name, blueprint in BLUEPRINTS.items()
    if blueprint.family == "mlp"
    for gated in (False, True)
}


def seed(name: str, gated: bool) -> nn.Module:
    """A seed whose last layer is no longer zero."""
    body = BLUEPRINTS[name].build(WIDTH)
    for parameter in body.parameters():
        nn.init.normal_(parameter, std=0.3)
    return Gated(body, WIDTH) if gated else body


@pytest.fixture(params=MODULES)
def modules(request: pytest.FixtureRequest) -> list[nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [MODULES[request.param]() for _ in range(LANES)]


def features() -> torch.Tensor:
    return torch.randn(LANES, ROWS, WIDTH, generator=torch.Generator().manual_seed(1))


def lot_of(modules: Sequence[nn.Module]) -> dict[str, torch.Tensor]:
    named = [dict(module.named_parameters()) for module in modules]
    return {name: torch.stack([one[name].detach() for one in named]).requires_grad_() for name in named[0]}


def passed(modules: Sequence[nn.Module], x: torch.Tensor) -> list[torch.Tensor]:
    """Answers, then the gradients of every parameter and of the features; all [G, ...]."""
    lot, x = lot_of(modules), x.clone().requires_grad_()
    answers = stacked(modules[0], lot, x)
    found = torch.autograd.grad(answers.square().sum(), [*lot.values(), x])
    return [answers.detach(), *found]


def test_a_lane_answers_as_its_module_does_and_has_its_gradients(modules: list[nn.Module]) -> None:
    answers, *found = passed(modules, features())
    for lane, module in enumerate(modules):
        x = features()[lane].requires_grad_()
        own = module(x)
        torch.testing.assert_close(answers[lane], own.detach(), atol=1e-5, rtol=1e-5)
        own_found = torch.autograd.grad(own.square().sum(), [*module.parameters(), x])
        for mine, theirs in zip(found, own_found, strict=True):
            torch.testing.assert_close(mine[lane], theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("some", [[0], [3], [LANES - 1], [1, 2], [0, 3, 5], list(range(1, LANES))])
def test_a_lane_has_the_same_bits_whoever_is_beside_it(modules: list[nn.Module], some: list[int]) -> None:
    everyone = passed(modules, features())
    few = passed([modules[lane] for lane in some], features()[some].contiguous())
    for one, other in zip(everyone, few, strict=True):
        assert torch.equal(one[some], other)


def test_a_lane_that_is_no_number_touches_no_other(modules: list[nn.Module]) -> None:
    before = passed(modules, features())
    broken = copy.deepcopy(modules)
    with torch.no_grad():
        for parameter in broken[2].parameters():
            parameter.fill_(float("nan"))
    after = passed(broken, features())
    others = [lane for lane in range(LANES) if lane != 2]
    assert torch.isnan(after[0][2]).all()
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one[others], other[others])


def test_modules_that_are_not_known_and_modules_that_somebody_listens_to_are_not_stacked() -> None:
    known = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert is_stackable(known)
    assert not is_stackable(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    known[0].register_forward_hook(lambda *_: None)
    assert not is_stackable(known)


def test_lanes_are_picked_changed_and_put_back_and_gradients_go_the_same_ways() -> None:
    x = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    lanes = torch.tensor([2])
    out = merged(x, 10.0 * picked(x, lanes), lanes)
    assert out.tolist() == [[1.0], [2.0], [30.0]]
    (gradient,) = torch.autograd.grad(out, x, torch.tensor([[1.0], [-0.0], [1.0]]))
    assert gradient.tolist() == [[1.0], [-0.0], [10.0]]
    # The sign of a zero is a bit like any other.
    assert torch.signbit(gradient).tolist() == [[False], [True], [False]]
