import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.host.mlp_host import MlpHost


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_seed_grows_at_every_slot_of_any_depth(depth: int) -> None:
    host = MlpHost(2, 8, depth, 3, seed=0)
    for slot_id in host.slots:
        host.germinate(slot_id, "residual_mlp", seed=1)
    assert list(host.slots) == [f"s{position}" for position in range(depth)]
    assert host(torch.ones(5, 2)).shape == (5, 3)


def test_weights_come_from_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, same, other = (MlpHost(2, 8, 2, 3, seed=seed).state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_parameters_are_counted_without_seeds() -> None:
    host = MlpHost(2, 8, 2, 3, seed=0)
    assert host.host_parameters() == (2 * 8 + 8) + (8 * 8 + 8) + (8 * 3 + 3)
    host.germinate("s0", "mlp_norm", seed=1)
    assert host.seed_parameters() == 16
    assert host.host_parameters() == 123


@pytest.mark.parametrize("wrong", ["inputs", "width", "depth", "classes"])
def test_sizes_below_one_are_refused(wrong: str) -> None:
    inputs, width, depth, classes = (int(name != wrong) for name in ("inputs", "width", "depth", "classes"))
    with pytest.raises(ConfigError, match=f"host.{wrong}"):
        MlpHost(inputs, width, depth, classes, seed=0)


@pytest.mark.parametrize("slots", [[], ["s0", "s0"], ["s2"], ["s1", "s0"], "s0", ["0"]])
def test_slots_that_cannot_be_are_refused(slots: list[str] | str) -> None:
    with pytest.raises(ConfigError, match=r"host\.slots"):
        MlpHost(2, 8, 2, 3, seed=0, slots=slots)


def test_fewer_slots_than_blocks_may_be_asked_for() -> None:
    host = MlpHost(2, 8, 3, 3, seed=0, slots=["s0", "s2"])
    assert list(host.slots) == list(host.channels) == ["s0", "s2"]
    host.germinate("s2", "mlp_norm", seed=1)
    assert host(torch.ones(5, 2)).shape == (5, 3)
