"""What belongs to a loop's state, and what its restoring may rely on."""

import json
from collections.abc import Callable
from typing import Any

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


def test_nan_deep_in_the_state_of_an_optimizer_is_found(new_state: New) -> None:
    """L-BFGS keeps the directions of its last steps in lists."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (model(torch.ones(2, 3)) - 1).pow(4).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    state = new_state(model, optimizer)
    assert state.nonfinite_places() == ()
    optimizer.state[model.weight]["old_dirs"][0][0] = float("nan")
    assert state.nonfinite_places() == ("optimizer",)


def test_a_snapshot_of_large_odd_state_is_small_work_and_comes_back(new_state: New) -> None:
    """As text of its bytes; as text of its numbers it was four times as long."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    history = [torch.randn(1000), torch.full((2, 2), float("nan"))]
    optimizer.state[model.weight]["history"] = [tensor.clone() for tensor in history]
    state = new_state(model, optimizer)
    written = json.dumps(state.facts())
    assert len(written) < 7000
    optimizer.state[model.weight]["history"][0].zero_()
    state.settle(json.loads(written))
    for before, after in zip(history, optimizer.state[model.weight]["history"], strict=True):
        assert torch.equal(before.view(torch.int32), after.view(torch.int32))


class Counting(torch.nn.Linear):
    """Has a state that is neither parameter nor buffer."""

    seen: dict[str, int]

    def get_extra_state(self) -> dict[str, int]:
        return self.seen

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.seen = state


def test_the_extra_state_of_modules_comes_back(new_state: New) -> None:
    model = torch.nn.Sequential(Counting(3, 2))
    model[0].seen = {"batches": 3}
    state = new_state(model, torch.optim.SGD(model.parameters(), 0.1))
    facts = json.loads(json.dumps(state.facts()))
    model[0].seen["batches"] = 7
    state.settle(facts)
    assert model[0].seen == {"batches": 3}


# What compiling imports warns of itself.
@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
def test_extra_state_has_the_same_name_in_a_model_that_is_compiled(new_state: New) -> None:
    model = Counting(3, 2)
    model.seen = {"batches": 3}
    facts = new_state(model, torch.optim.SGD(model.parameters(), 0.1)).facts()
    compiled = new_state(torch.compile(model), torch.optim.SGD(model.parameters(), 0.1))
    model.seen = {}
    compiled.prepare(facts)
    compiled.settle(facts)
    assert model.seen == {"batches": 3}


@pytest.mark.parametrize(("policy", "left"), [("reset", {"clock": {"k": 3, "mean": 1.0}}), ("reset_all", {})])
def test_what_an_optimizer_keeps_for_all_parameters_together_comes_back(new_state: New, policy: str, left: dict[str, Any]) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    optimizer.state["clock"] = {"k": 3, "mean": torch.tensor(1.0)}
    state = new_state(model, optimizer)
    facts = json.loads(json.dumps(state.facts()))
    optimizer.state["clock"]["k"] = 9
    optimizer.state["clock"]["mean"].fill_(float("inf"))
    optimizer.state["later"] = {}
    assert state.nonfinite_places() == ("optimizer",)
    state.restore_optimizers({}, policy)
    state.settle(facts)
    assert {key: value for key, value in optimizer.state.items() if isinstance(key, str)} == left


def test_how_an_optimizer_computes_is_left_as_it_is(new_state: New) -> None:
    model = torch.nn.Linear(3, 2)
    slow = new_state(model, torch.optim.Adam(model.parameters(), lr=0.5))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=True)
    fast = new_state(model, optimizer)
    fast.settle(json.loads(json.dumps(slow.facts())))
    assert (optimizer.param_groups[0]["fused"], optimizer.param_groups[0]["lr"]) == (True, 0.5)


def test_groups_that_changed_places_are_refused(new_state: New) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[1].parameters(), "lr": 0.7}]
    facts = json.loads(json.dumps(new_state(model, torch.optim.SGD(groups)).facts()))
    groups = [{"params": model[1].parameters(), "lr": 0.7}, {"params": model[0].parameters(), "lr": 0.1}]
    with pytest.raises(LayoutMismatch, match=r"optimizer 0, group 0: found .*model/0\.bias.*, expected only .*model/1\.weight"):
        new_state(model, torch.optim.SGD(groups)).prepare(facts)


def test_a_snapshot_of_an_older_version_is_refused_in_words(new_state: New) -> None:
    model = torch.nn.Linear(3, 2)
    state = new_state(model, torch.optim.SGD(model.parameters()))
    facts = {key: fact for key, fact in state.facts().items() if key != "layout"}
    with pytest.raises(LayoutMismatch, match="older version"):
        state.prepare(facts)


def test_a_loop_of_several_ranks_is_refused() -> None:
    model = torch.nn.Linear(2, 2)
    torch.distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        with pytest.raises(ConfigError, match="2 ranks"):
            watch(model, torch.optim.SGD(model.parameters(), 0.1), chance_loss=1.0)
    finally:
        torch.distributed.destroy_process_group()
