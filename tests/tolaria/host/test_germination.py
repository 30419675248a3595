from collections.abc import Callable

import pytest
import torch
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.host.blueprints.blueprint import Blueprint
from tolaria.host.germination import build_seed
from tolaria.host.mlp_host import MlpHost
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend, SlotState
from tolaria.lifecycle.stage import IllegalMove, Stage


class Wrapped(nn.Module):
    """A linear layer whose output goes through a function that spoils it."""

    def __init__(self, spoil: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.spoil = spoil

    def forward(self, h: torch.Tensor) -> object:
        return self.spoil(self.linear(h))


def fail(value: object) -> object:
    raise ValueError(f"no use for {type(value).__name__}")


MALFORMED: dict[str, Callable[[torch.Tensor], object]] = {
    "tuple": lambda r: (0 * r, None),
    "nothing": lambda _: None,
    "wrong_width": lambda r: 0 * r[:, :4],
    "wrong_batch": lambda r: 0 * r[:1],
    "wrong_dtype": lambda r: (0 * r).double(),
    "not_zero": lambda r: r,
    "nan": lambda r: r * float("nan"),
    "raising": fail,
}


def host() -> MlpHost:
    return MlpHost(2, 8, 2, 3, seed=1)


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_malformed_blueprint_is_named_and_leaves_the_slot_as_it_was(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BLUEPRINTS, fault, Blueprint(fault, "mlp", "spoilt", lambda _: Wrapped(MALFORMED[fault])))
    grown = host()
    names = list(grown.tensors())
    rng = torch.random.get_rng_state()
    with pytest.raises(ConfigError, match=f"blueprint.{fault}"):
        grown.germinate("s0", fault, seed=4)
    assert grown.slot("s0").seed is None
    assert grown.slot("s0").state == SlotState("s0")
    assert list(grown.tensors()) == names
    assert torch.equal(torch.random.get_rng_state(), rng)
    grown.germinate("s0", "mlp_norm", seed=4)


def test_a_blueprint_whose_construction_fails_leaves_the_slot_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BLUEPRINTS, "unbuilt", Blueprint("unbuilt", "mlp", "spoilt", lambda channels: nn.Linear(channels, -1)))
    grown = host()
    with pytest.raises(ConfigError, match=r"blueprint\.unbuilt"):
        grown.germinate("s0", "unbuilt", seed=4)
    assert grown.slot_states() == host().slot_states()


@pytest.mark.parametrize("name", ["no_such", "conv_light"])
def test_an_unknown_or_foreign_blueprint_is_refused(name: str) -> None:
    grown = host()
    with pytest.raises(ConfigError, match="linear_bottleneck, mlp_norm, residual_mlp"):
        grown.germinate("s0", name, seed=4)
    assert grown.slot_states() == host().slot_states()


def test_an_unknown_slot_is_refused() -> None:
    with pytest.raises(ConfigError, match="s0, s1"):
        host().germinate("s2", "mlp_norm", seed=4)


def test_an_occupied_slot_keeps_its_seed() -> None:
    grown = host()
    grown.germinate("s0", "mlp_norm", seed=4)
    seed, state = grown.slot("s0").seed, grown.slot("s0").state
    with pytest.raises(IllegalMove):
        grown.germinate("s0", "residual_mlp", seed=4)
    assert grown.slot("s0").seed is seed
    assert grown.slot("s0").state == state


def test_the_state_records_the_blend_that_was_asked_for() -> None:
    state = host().germinate("s1", "mlp_norm", seed=4, blend=Blend.MULTIPLY, steps=8, target=0.7, curve=Curve.SIGMOID)
    assert (state.stage, state.blueprint, state.generation) == (Stage.GERMINATED, "mlp_norm", 1)
    assert (state.blend, state.blend_steps, state.blend_target, state.blend_curve) == (Blend.MULTIPLY, 8, 0.7, Curve.SIGMOID)


def test_a_seed_is_initialised_from_its_own_number() -> None:
    like = torch.zeros(1)
    first, same, other = (build_seed("residual_mlp", "mlp", 8, seed, like).state_dict()["0.weight"] for seed in (4, 4, 5))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_germination_takes_nothing_from_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    host().germinate("s0", "residual_mlp", seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_seed_takes_the_dtype_of_its_host() -> None:
    grown = host().double()
    grown.germinate("s0", "residual_mlp", seed=4)
    assert {tensor.dtype for tensor in grown.seed_tensors("s0").values()} == {torch.float64}
