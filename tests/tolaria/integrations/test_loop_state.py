"""What belongs to a loop's state, and what its restoring may rely on."""

import json
from collections.abc import Callable

import pytest
import torch
from torch.testing._internal.distributed.fake_pg import FakeStore

from tolaria.errors import ConfigError
from tolaria.governor.rollback import LayoutMismatch
from tolaria.integrations.loop_state import LoopState
from tolaria.integrations.plain import watch

New = Callable[..., LoopState]


def trained(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_tensors_are_named_by_parameters(new_state: New) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2, affine=False))
    optimizer = torch.optim.Adam(model.parameters())
    trained(model, optimizer)
    state = new_state(model, optimizer, ema={"average": torch.zeros(2)})
    fields = ("step", "exp_avg", "exp_avg_sq")
    assert set(state.stable_tensors()) == {
        *(f"model/{name}" for name in ("0.weight", "0.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked")),
        "ema/average",
        *(f"optimizer/model/0.{name}/{field}" for name in ("weight", "bias") for field in fields),
    }


def test_state_of_another_shape_is_restored_too(new_state: New) -> None:
    """Adafactor keeps a row and a column where others keep a matrix."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adafactor(model.parameters())
    state = new_state(model, optimizer)
    trained(model, optimizer)
    tensors = {name: tensor.clone() for name, tensor in state.stable_tensors().items() if name.startswith("optimizer/")}
    facts = json.loads(json.dumps(state.facts()))
    before = {field: value.clone() for field, value in optimizer.state[model.weight].items()}
    trained(model, optimizer)
    state.restore_optimizers(tensors, "restore")
    state.settle(facts)
    after = optimizer.state[model.weight]
    assert set(after) == set(before) >= {"row_var", "col_var"}
    assert all(torch.equal(after[field], value) for field, value in before.items())


def test_restored_state_shares_nothing_with_the_snapshot(new_state: New) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trained(model, optimizer)
    state = new_state(model, optimizer)
    saved = {name: tensor.clone() for name, tensor in state.stable_tensors().items() if name.startswith("optimizer/")}
    optimizer.state.clear()
    state.restore_optimizers(saved, "restore")
    optimizer.state[model.weight]["momentum_buffer"].add_(1.0)
    assert not torch.equal(saved["optimizer/model/weight/momentum_buffer"], optimizer.state[model.weight]["momentum_buffer"])


def test_a_rate_that_is_a_tensor_is_written_in_place(new_state: New) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.5))
    state = new_state(model, optimizer)
    facts = json.loads(json.dumps(state.facts()))
    rate = optimizer.param_groups[0]["lr"]
    rate.fill_(0.1)
    state.settle(facts)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.5


def test_a_group_that_came_later_stays_and_one_that_went_is_missed(new_state: New) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    state = new_state(model, optimizer)
    facts = json.loads(json.dumps(state.facts()))
    optimizer.add_param_group({"params": model[1].parameters(), "lr": 0.7})
    state.prepare(facts)
    state.settle(facts)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.7]
    optimizer.param_groups.clear()
    with pytest.raises(LayoutMismatch, match="1 parameter groups were recorded, 0 are left"):
        state.prepare(facts)


@pytest.mark.parametrize("place", ["parameters", "buffers", "optimizer", "ema"])
def test_each_place_that_is_not_finite_is_named(new_state: New, place: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    trained(model, optimizer)
    average = torch.zeros(2)
    state = new_state(model, optimizer, ema={"average": average})
    assert state.nonfinite_places() == ()
    momentum = optimizer.state[model[0].weight]["momentum_buffer"]
    tensor = {"parameters": model[0].weight, "buffers": model[1].running_var, "optimizer": momentum, "ema": average}[place]
    tensor.data.flatten()[0] = float("inf")
    assert state.nonfinite_places() == (place,)


def test_a_loop_of_several_ranks_is_refused() -> None:
    model = torch.nn.Linear(2, 2)
    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        with pytest.raises(ConfigError, match="2 ranks"):
            watch(model, torch.optim.SGD(model.parameters(), 0.1), chance_loss=1.0)
    finally:
        torch.distributed.destroy_process_group()
