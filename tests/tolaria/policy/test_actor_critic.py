import pytest
import torch
from torch import Tensor

from tolaria.errors import ConfigError
from tolaria.policy.actor_critic import ActorCritic
from tolaria.policy.config import NetworkConfig
from tolaria.policy.policy import RecurrentState

SIZES = (6, 2, 2)


def net() -> ActorCritic:
    return ActorCritic(observation_size=5, head_sizes=SIZES, config=NetworkConfig(widths=(8,), memory_size=8), seed=1)


def some(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def state_of(num_envs: int) -> RecurrentState:
    return some(num_envs, 8), some(num_envs, 8)


def test_shapes_are_by_step_and_environment() -> None:
    logits, values, state = net()(some(4, 3, 5), state_of(3), torch.zeros(4, 3, dtype=torch.bool))
    assert [tuple(head.shape) for head in logits] == [(4, 3, 6), (4, 3, 2), (4, 3, 2)]
    assert tuple(values.shape) == (4, 3)
    assert [tuple(part.shape) for part in state] == [(3, 8), (3, 8)]


def test_unrolling_equals_stepping() -> None:
    fresh = torch.zeros(6, 2, dtype=torch.bool)
    fresh[2, 0] = fresh[5, 1] = True
    inputs, state = some(6, 2, 5), state_of(2)
    _, values, last = net()(inputs, state, fresh)
    stepped = []
    for t in range(6):
        state = (state[0].masked_fill(fresh[t, :, None], 0.0), state[1].masked_fill(fresh[t, :, None], 0.0))
        _, value, state = net()(inputs[t : t + 1], state, torch.zeros(1, 2, dtype=torch.bool))
        stepped.append(value[0])
    torch.testing.assert_close(values, torch.stack(stepped), rtol=0.0, atol=1e-6)
    torch.testing.assert_close(last, state, rtol=0.0, atol=1e-6)


def test_a_fresh_step_forgets_even_a_broken_state() -> None:
    fresh = torch.tensor([[True, False]])
    broken = (torch.full((2, 8), torch.nan), torch.full((2, 8), torch.nan))
    _, values, _ = net()(some(1, 2, 5), broken, fresh)
    clean, _ = net()(some(1, 2, 5), net().initial_state(2), fresh)[1:]
    assert torch.equal(values[0, 0], clean[0, 0])
    assert bool(values[0, 1].isnan())


def test_episodes_joined_equal_episodes_apart() -> None:
    inputs = some(6, 1, 5)
    fresh = torch.zeros(6, 1, dtype=torch.bool)
    fresh[0] = fresh[3] = True
    joined = net()(inputs, state_of(1), fresh)[1]
    apart = [net()(inputs[start : start + 3], state_of(1), fresh[start : start + 3])[1] for start in (0, 3)]
    torch.testing.assert_close(joined, torch.cat(apart), rtol=0.0, atol=1e-6)


def test_the_first_policy_is_nearly_uniform() -> None:
    logits, _, _ = net()(some(1, 64, 5), state_of(64), torch.zeros(1, 64, dtype=torch.bool))
    assert all((head - head.mean(-1, keepdim=True)).abs().max().item() < 0.05 for head in logits)


def test_initialization_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = net(), net()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_value_does_not_depend_on_any_head() -> None:
    _, values, _ = (judged := net())(some(2, 2, 5), state_of(2), torch.zeros(2, 2, dtype=torch.bool))
    values.sum().backward()
    assert all(parameter.grad is None for parameter in judged.heads.parameters())


def test_extreme_inputs_do_not_saturate_the_cell() -> None:
    inputs = torch.full((150, 1, 5), 10.0)
    _, _, (_, cell) = net()(inputs, net().initial_state(1), torch.zeros(150, 1, dtype=torch.bool))
    assert cell.abs().max().item() < 20.0


def plain(**changes: object) -> ActorCritic:
    """A network without memory, as most of the literature has it."""
    config = NetworkConfig(widths=(8, 8), activation="tanh", layer_norm=False, memory="none", orthogonal=True, **changes)
    return ActorCritic(5, SIZES, config, seed=1)


def test_without_memory_rows_know_nothing_of_each_other_and_the_state_is_empty() -> None:
    built = plain()
    inputs = some(6, 2, 5)
    _, values, state = built(inputs, built.initial_state(2), torch.zeros(6, 2, dtype=torch.bool))
    _, turned, _ = built(inputs.flip(0), built.initial_state(2), torch.ones(6, 2, dtype=torch.bool))
    torch.testing.assert_close(values, turned.flip(0))
    assert [tuple(part.shape) for part in state] == [(2, 0), (2, 0)]


def test_a_value_trunk_leaves_the_policys_encoder_alone() -> None:
    built = plain(value_trunk=True)
    _, values, _ = built(some(2, 2, 5), built.initial_state(2), torch.zeros(2, 2, dtype=torch.bool))
    values.sum().backward()
    assert all(parameter.grad is None for parameter in built.trunk.parameters())


def test_a_value_trunk_and_a_memory_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match=r"network\.value_trunk"):
        NetworkConfig(value_trunk=True)


@pytest.mark.parametrize("wrong", [{"widths": ()}, {"widths": (4, 0)}, {"activation": "gelu"}, {"memory": "gru"}, {"memory_size": 0}])
def test_a_network_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"network\."):
        NetworkConfig(**wrong)


def test_open_forget_gates_remember_longer() -> None:
    """The first step's input is felt after twenty steps of nothing, and the other gates begin as they did."""
    short, long = (ActorCritic(5, SIZES, NetworkConfig(widths=(8,), memory_size=8, forget_bias=bias), seed=1) for bias in (0.0, 3.0))

    def felt(built: ActorCritic) -> float:
        fresh = torch.zeros(21, 2, dtype=torch.bool)
        inputs = torch.zeros(21, 2, 5)
        inputs[0, 1] = 5.0
        _, _, (_, cell) = built(inputs, built.initial_state(2), fresh)
        return float((cell[0] - cell[1]).norm().detach())

    assert felt(long) > 100.0 * felt(short)
    moved = (long.cell.bias_ih_l0 - short.cell.bias_ih_l0).detach()
    assert moved.view(4, 8).tolist() == [[0.0] * 8, pytest.approx([3.0] * 8), [0.0] * 8, [0.0] * 8]


def test_a_forget_bias_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"network\.forget_bias"):
        NetworkConfig(forget_bias=float("nan"))
