from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firedrill.faults.fault import CouldNotStrike, Scene, Strike, Unfit
from firedrill.faults.target import Pick, Role, SelectorMatchedNothing, Target, strike_elements
from tolaria.host.cnn_host import CnnHost
from tolaria.host.host import Host
from tolaria.host.mlp_host import MlpHost
from tolaria.lifecycle.stage import Stage
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


class Trainee:
    """A host of 2 blocks after one step of SGD with momentum."""

    def __init__(self, host: Host) -> None:
        self.host = host
        engine = torch.optim.SGD(host.parameters(), lr=0.1, momentum=0.9)
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {"host": engine}
        host(torch.ones(2, 2) if isinstance(host, MlpHost) else torch.ones(2, 1, 8, 8)).sum().backward()
        engine.step()

    def prune(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        raise AssertionError

    def fossilize(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        raise AssertionError


@pytest.fixture
def trainee() -> Trainee:
    return Trainee(MlpHost(inputs=2, width=4, depth=2, classes=3, seed=7))


def names(target: Target, trainee: Trainee) -> list[str]:
    return [name for name, _ in target.select(trainee)]


def test_a_glob_selects_parameters(trainee: Trainee) -> None:
    assert names(Target(params="head.*"), trainee) == ["head.weight", "head.bias"]


def test_gradients_are_selected_by_the_names_of_their_parameters(trainee: Trainee) -> None:
    (found,) = Target(grads="head.bias").select(trainee)
    assert found[1] is trainee.host.get_parameter("head.bias").grad


def test_optimizer_state_has_stable_names(trainee: Trainee) -> None:
    assert names(Target(optimizer="host/head.*"), trainee) == ["host/head.weight/momentum_buffer", "host/head.bias/momentum_buffer"]


def test_buffers_without_fractions_are_left_out() -> None:
    found = names(Target(buffers="*"), Trainee(CnnHost(in_channels=1, width=2, depth=2, classes=3, seed=7)))
    assert found
    assert not any("num_batches_tracked" in name for name in found)


def test_a_slot_means_the_parameters_of_its_seed(trainee: Trainee) -> None:
    for slot in ("s0", "s1"):
        trainee.host.germinate(slot, "mlp_norm", seed=5)
    found = names(Target(slot="s1"), trainee)
    assert found
    assert all(name.startswith("slots.s1.seed.") for name in found)


def test_nothing_matched_tells_the_nearest_names(trainee: Trainee) -> None:
    with pytest.raises(SelectorMatchedNothing, match=r"params: haed.weight matches nothing; the nearest names are head.weight"):
        Target(params="haed.weight").select(trainee)


def test_nothing_matched_in_an_empty_slot_is_no_strike(trainee: Trainee) -> None:
    with pytest.raises(CouldNotStrike):
        Target(slot="s0").select(trainee)


def test_everything_is_struck_where_nothing_is_picked(trainee: Trainee) -> None:
    target = Target(params="head.*")
    assert list(target.elements(target.select(trainee), stream(1))) == list(range(3 * 4 + 3))


@given(total=st.integers(1, 500), count=st.integers(1, 600), seed=st.integers(0, 99))
def test_a_count_picks_so_many_different_elements(total: int, count: int, seed: int) -> None:
    picked = Pick(count=count).of(total, stream(seed))
    assert len(picked) == len(set(picked)) == min(count, total)
    assert all(0 <= index < total for index in picked)


@pytest.mark.parametrize(
    ("total", "fraction", "at_least", "expected"), [(100, 0.03, 1, 3), (100, 0.001, 2, 2), (1, 0.5, 7, 1), (10, 1.0, 1, 10)]
)
def test_a_fraction_picks_its_share_and_at_least_some(total: int, fraction: float, at_least: int, expected: int) -> None:
    assert len(Pick(fraction=fraction, at_least=at_least).of(total, stream(1))) == expected


def struck(trainee: Trainee, target: Target) -> Strike:
    strikes: list[Strike] = []
    strike_elements(trainee, Scene(Point(1, 0), stream(1), target, strikes.append), lambda elements: elements * 0 + 7.0)
    (strike,) = strikes
    return strike


def test_one_element_is_written_in_the_tensor_where_it_lies(trainee: Trainee) -> None:
    before = trainee.host.get_parameter("head.weight").detach().clone()
    assert struck(trainee, Target(params="head.*", pick=Pick(index=13))).place == "head.bias"
    assert trainee.host.get_parameter("head.bias")[1].item() == 7.0
    assert torch.equal(before, trainee.host.get_parameter("head.weight"))


def test_a_parameter_stays_the_same_object_and_goes_on_learning(trainee: Trainee) -> None:
    parameter = trainee.host.get_parameter("head.bias")
    struck(trainee, Target(params="head.bias"))
    assert trainee.host.get_parameter("head.bias") is parameter
    assert parameter.requires_grad
    assert parameter.is_leaf


def test_a_strided_tensor_is_written_too(trainee: Trainee) -> None:
    weight = trainee.host.get_parameter("head.weight")
    weight.data = weight.data.t().contiguous().t()
    struck(trainee, Target(params="head.weight", pick=Pick(index=5)))
    assert weight[1, 1].item() == 7.0


def test_the_witness_counts_and_shows_the_first_value(trainee: Trainee) -> None:
    told = struck(trainee, Target(params="head.*", pick=Pick(count=4)))
    assert (told.elements, told.first_value) == (4, "7.0")


def test_an_element_behind_the_end_is_no_strike(trainee: Trainee) -> None:
    with pytest.raises(CouldNotStrike, match="99"):
        struck(trainee, Target(params="head.*", pick=Pick(index=99)))


@pytest.mark.parametrize("fields", [{}, {"params": "*", "slot": "s0"}])
def test_exactly_one_selector_is_needed(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one of params"):
        Target(**fields)  # type: ignore[arg-type]  # Wrong on purpose.


BAD_PICKS = [
    ({"index": -1}, "index"),
    ({"count": 0}, "count"),
    ({"fraction": 0.0}, "fraction"),
    ({"fraction": 1.5}, "fraction"),
    ({"fraction": 0.5, "at_least": 0}, "at_least"),
]


@pytest.mark.parametrize(("fields", "named"), BAD_PICKS)
def test_a_pick_of_nothing_is_refused_by_its_field(fields: dict[str, float], named: str) -> None:
    with pytest.raises(Unfit) as refused:
        Pick(**fields)  # type: ignore[arg-type]  # Wrong on purpose.
    assert refused.value.field == named


def test_a_type_is_that_of_the_module_which_has_the_tensor() -> None:
    trainee = Trainee(CnnHost(in_channels=1, width=2, depth=2, classes=3, seed=7))
    assert names(Target(params="*.weight", type="Batch*"), trainee) == ["blocks.0.norm.weight", "blocks.1.norm.weight"]
    assert names(Target(optimizer="host/*", type="Conv2d", depth=0), trainee) == ["host/blocks.0.conv.weight/momentum_buffer"]


def test_a_role_is_what_a_module_is_in_the_network(trainee: Trainee) -> None:
    for slot in ("s0", "s1"):
        trainee.host.germinate(slot, "mlp_norm", seed=5)
    fossil = trainee.host.slot("s1")
    fossil.state = replace(fossil.state, stage=Stage.FOSSILIZED)
    roots = {role: {name.rsplit(".", 1)[0] for name in names(Target(params="*", role=role), trainee)} for role in get_args(Role)}
    assert roots == {
        "trunk": {"blocks.0.linear", "blocks.1.linear"},
        "head": {"head"},
        "seed": {"slots.s0.seed"},
        "fossil": {"slots.s1.seed"},
    }


@pytest.mark.parametrize(("depth", "expected"), [(0, "blocks.0.linear"), (2, "head"), (-1, "head"), (-3, "blocks.0.linear")])
def test_a_depth_counts_the_modules_that_are_left(trainee: Trainee, depth: int, expected: str) -> None:
    found = names(Target(params="*", type="Linear", depth=depth), trainee)
    assert found == [f"{expected}.weight", f"{expected}.bias"]


@pytest.mark.parametrize("fields", [{"depth": 3}, {"type": "Conv2d"}, {"role": "seed"}])
def test_narrowed_down_to_nothing_is_no_strike(trainee: Trainee, fields: dict[str, Any]) -> None:
    with pytest.raises(SelectorMatchedNothing, match=next(iter(fields))):
        Target(params="*", **fields).select(trainee)


def activated(trainee: Trainee, target: Target) -> tuple[list[Strike], torch.Tensor]:
    """Strike, and what the host then computes for one sample."""
    strikes: list[Strike] = []
    strike_elements(trainee, Scene(Point(1, 0), stream(1), target, strikes.append), lambda elements: elements * 0 + 7.0)
    assert strikes == [], "nothing has been computed yet"
    return strikes, trainee.host(torch.ones(1, 2))


def test_an_activation_is_changed_the_next_time_it_is_computed_and_only_then(trainee: Trainee) -> None:
    before = trainee.host(torch.ones(1, 2))
    (told,), logits = activated(trainee, Target(activations="head", pick=Pick(index=1)))
    assert (told.place, told.elements, told.first_value) == ("output of head", 1, "7.0")
    assert logits[0].tolist() == [before[0, 0].item(), 7.0, before[0, 2].item()]
    assert torch.equal(trainee.host(torch.ones(1, 2)), before)
    assert not any(module._forward_hooks for module in trainee.host.modules())


def test_gradients_flow_around_a_changed_activation(trainee: Trainee) -> None:
    trainee.host.zero_grad()
    _, logits = activated(trainee, Target(activations="head", pick=Pick(index=1)))
    logits.sum().backward()
    gradient = trainee.host.get_parameter("head.bias").grad
    assert gradient is not None
    assert gradient.tolist() == [1.0, 0.0, 1.0]


def test_of_several_modules_the_first_is_struck_or_the_one_that_is_as_deep(trainee: Trainee) -> None:
    (first,), _ = activated(trainee, Target(activations="blocks.*", type="Linear"))
    (last,), _ = activated(trainee, Target(activations="blocks.*", type="Linear", depth=-1))
    assert (first.place, last.place) == ("output of blocks.0.linear", "output of blocks.1.linear")


def test_no_module_of_that_name_is_no_strike(trainee: Trainee) -> None:
    with pytest.raises(SelectorMatchedNothing, match="activations: hed matches nothing; the nearest names are head"):
        activated(trainee, Target(activations="hed"))


def test_a_witness_of_an_element_behind_the_end_is_not_told(trainee: Trainee) -> None:
    assert activated(trainee, Target(activations="head", pick=Pick(index=99)))[0] == []
