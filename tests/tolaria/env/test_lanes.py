"""Rows that parameters live in."""

import math
from collections.abc import Sequence

import pytest
import torch

from tolaria.env.descent import MOMENTUM, clip_gradients
from tolaria.env.lanes import Lane, Lanes

RATES = (0.1, 0.2, 0.05)
DECAY = 0.01


class Rows:
    """Three linear layers with optimizers of their own, and their lanes."""

    def __init__(self, momentum: float = 0.9) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.modules = [torch.nn.Linear(5, 3) for _ in RATES]
        self.optimizers = [torch.optim.SGD(module.parameters(), lr=1.0, momentum=momentum, weight_decay=DECAY) for module in self.modules]
        self.before = [[parameter.detach().clone() for parameter in module.parameters()] for module in self.modules]
        pairs = zip(self.modules, self.optimizers, strict=True)
        self.lanes = Lanes(("weight", "bias"), [Lane(tuple(module.parameters()), optimizer) for module, optimizer in pairs], momentum)

    def take(self, number: int) -> None:
        """Gradients that are the same for the same number."""
        generator = torch.Generator().manual_seed(number)
        self.lanes.take([4.0 * torch.randn(leaf.shape, generator=generator) for leaf in self.lanes.leaves])

    def step(self, some: Sequence[int] | None = None) -> list[float]:
        """As the pool does it."""
        norms: list[float] = self.lanes.clip(1.0, some).tolist()
        self.lanes.descend(RATES, DECAY, some)
        return norms


@pytest.fixture
def rows() -> Rows:
    return Rows()


def test_parameters_keep_their_values_and_are_views_of_the_rows(rows: Rows) -> None:
    for lane, module in enumerate(rows.modules):
        assert all(torch.equal(now, then) for now, then in zip(module.parameters(), rows.before[lane], strict=True))
    rows.lanes.values[1].fill_(7.0)
    assert bool((rows.modules[1].weight == 7.0).all())
    with torch.no_grad():
        rows.modules[2].bias.fill_(3.0)
    assert bool((rows.lanes.lot["bias"][2] == 3.0).all())


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_steps_are_those_of_an_optimizer_for_each_lane(momentum: float) -> None:
    rows, alone = Rows(momentum), Rows(momentum)
    # The others are moved out of the rows, and stepped by PyTorch.
    for module, optimizer, rate in zip(alone.modules, alone.optimizers, RATES, strict=True):
        for parameter in module.parameters():
            parameter.data = parameter.detach().clone()
        optimizer.param_groups[0]["lr"] = rate
    for number in range(3):
        rows.take(number)
        alone.take(number)
        norms = rows.step()
        for lane, (module, optimizer) in enumerate(zip(alone.modules, alone.optimizers, strict=True)):
            alone.lanes.show(lane)
            assert norms[lane] == pytest.approx(float(clip_gradients(module.parameters(), 1.0)))
            optimizer.step()
    for mine, theirs, optimizer, other in zip(rows.modules, alone.modules, rows.optimizers, alone.optimizers, strict=True):
        for one, two in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)
            assert optimizer.state[one].keys() == other.state[two].keys()
            if momentum:
                torch.testing.assert_close(optimizer.state[one][MOMENTUM], other.state[two][MOMENTUM], atol=1e-6, rtol=1e-6)


def test_a_lane_that_is_left_out_does_not_change_and_has_no_momentum_yet(rows: Rows) -> None:
    rows.take(0)
    rows.step([0, 2])
    assert all(torch.equal(now, then) for now, then in zip(rows.modules[1].parameters(), rows.before[1], strict=True))
    assert not any(rows.optimizers[1].state.get(parameter) for parameter in rows.modules[1].parameters())
    assert not torch.equal(rows.modules[0].weight, rows.before[0][0])
    assert MOMENTUM in rows.optimizers[2].state[rows.modules[2].weight]


def test_what_was_put_in_the_place_of_a_view_is_brought_back_into_the_row(rows: Rows) -> None:
    rows.take(0)
    rows.step()
    weight = rows.modules[1].weight
    weight.data = torch.full_like(weight, 5.0)
    rows.optimizers[1].state[weight][MOMENTUM] = torch.full_like(weight, 2.0)
    rows.optimizers[2].state.clear()
    rows.lanes.hold()
    assert bool((rows.lanes.lot["weight"][1] == 5.0).all())
    assert bool((rows.lanes.momenta[1][:15] == 2.0).all())
    assert bool((rows.lanes.momenta[2] == 0.0).all())
    rows.take(1)
    rows.step()
    # What an optimizer had forgotten it has again, in the row.
    assert rows.optimizers[2].state[rows.modules[2].weight][MOMENTUM].data_ptr() == rows.lanes.momenta[2].data_ptr()


def test_a_nan_stays_in_its_lane_and_does_not_outlive_the_lane_it_was_in(rows: Rows) -> None:
    other = Rows()
    for each in (rows, other):
        each.take(0)
    rows.lanes.gradients[1].fill_(float("nan"))
    norms, undisturbed = rows.step(), other.step()
    assert math.isnan(norms[1])
    for lane in (0, 2):
        assert norms[lane] == undisturbed[lane]
        assert torch.equal(rows.lanes.values[lane], other.lanes.values[lane])
    # The lane is given good numbers, as a rollback does it through the parameters.
    with torch.no_grad():
        for parameter in rows.modules[1].parameters():
            parameter.fill_(1.0)
    rows.optimizers[1].state.clear()
    rows.lanes.hold()
    rows.take(1)
    assert all(map(math.isfinite, rows.step()))


def test_gradients_that_are_shown_can_be_changed_and_replaced(rows: Rows) -> None:
    rows.take(0)
    rows.lanes.show(0)
    rows.lanes.show(1)
    rows.modules[0].weight.grad.fill_(9.0)
    rows.modules[1].weight.grad = torch.full((3, 5), 8.0)
    rows.modules[1].bias.grad = None
    for lane in (0, 1):
        rows.lanes.heed(lane)
    assert bool((rows.lanes.gradients[0][:15] == 9.0).all())
    assert bool((rows.lanes.gradients[1][:15] == 8.0).all())
    assert bool((rows.lanes.gradients[1][16:19] == 0.0).all())


def test_lanes_that_nobody_optimizes_take_no_gradients() -> None:
    module = torch.nn.Linear(2, 2)
    lanes = Lanes(("weight", "bias"), [Lane(tuple(module.parameters()), None)], 0.9)
    assert not lanes.learns
    assert not any(leaf.requires_grad for leaf in lanes.leaves)
