from collections.abc import Callable

import pytest
import torch

from tolaria.lifecycle.gates import GateConfig, refusal
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.action_space import ActionSpace
from tolaria.policy.learned import LearnedPolicy
from tolaria.policy.policy import Policy, Record
from tolaria.policy.view import View

SPACE = ActionSpace(("s0", "s1"), ("norm", "mlp"))
GROWING = (SlotState("s0", Stage.GERMINATED, "mlp", age=5), SlotState("s1"))


def policy() -> LearnedPolicy:
    return LearnedPolicy(SPACE, num_envs=3, hidden_size=8, seed=4)


def record_of(controller: Policy, view: View) -> Record:
    record = controller.act([view])[0].record
    assert record is not None
    return record


def test_decisions_are_legal_and_recorded_as_made(make_view: Callable[..., View]) -> None:
    controller = policy()
    view = make_view(GROWING, gates=GateConfig(seeds_max=2))
    for _ in range(50):
        choice = controller.act([view])[0]
        assert refusal(view.slots, choice.action.op, choice.action.slot, view.gates) is None or choice.action.slot == ""
        assert choice.record is not None
        assert SPACE.decode(choice.record.indices.tolist()) == choice.action


def test_a_record_carries_no_graph_and_can_be_trained_on(make_view: Callable[..., View]) -> None:
    record = record_of(policy(), make_view())
    tensors = (record.observation, record.mask, record.indices)
    assert not any(tensor.requires_grad or tensor.is_inference() for tensor in tensors)
    assert record.indices.dtype is torch.int64


def test_one_can_learn_backward_through_the_carried_state(make_view: Callable[..., View]) -> None:
    controller = policy()
    controller.act([make_view()])
    _, values, _ = controller.net(torch.zeros(1, 3, controller.net.trunk[0].in_features), controller.recurrent_state(),
                                  torch.zeros(1, 3, dtype=torch.bool))  # fmt: skip
    values.sum().backward()
    assert controller.net.value.weight.grad is not None


def test_acting_advances_exactly_the_environments_it_is_asked_about(make_view: Callable[..., View]) -> None:
    controller = policy()
    controller.act([make_view(env=env) for env in range(3)])
    before = controller.recurrent_state()
    controller.act([make_view(env=1)])
    after = controller.recurrent_state()
    assert [torch.equal(before[0][env], after[0][env]) for env in range(3)] == [True, False, True]


def test_values_advance_nothing_and_use_the_carried_state(make_view: Callable[..., View]) -> None:
    controller = policy()
    fresh = controller.values([make_view()])
    controller.act([make_view()])
    before = controller.tensors()
    carried = controller.values([make_view()])
    assert carried == controller.values([make_view()])
    assert carried != fresh
    assert all(torch.equal(tensor, before[name]) for name, tensor in controller.tensors().items())
    assert carried[0] == record_of(controller, make_view()).value


def test_values_come_in_the_order_of_the_views(make_view: Callable[..., View]) -> None:
    controller = policy()
    asked = [make_view(env=env, episode_step=7 * env) for env in (2, 0, 1)]
    assert controller.values(asked) == [controller.values([view])[0] for view in asked]


def test_a_new_life_has_a_zero_state_and_the_others_keep_theirs_to_the_bit(make_view: Callable[..., View]) -> None:
    controller = policy()
    controller.act([make_view(env=env) for env in range(3)])
    before = controller.recurrent_state()
    controller.begin_life(1)
    after = controller.recurrent_state()
    for old, new in zip(before, after, strict=True):
        assert not bool(new[1].any())
        assert torch.equal(new[[0, 2]], old[[0, 2]])


def test_an_environment_that_is_gone_changes_no_bit_of_the_others(make_view: Callable[..., View]) -> None:
    full, lonely = policy(), policy()
    for step in range(5):
        many = full.act([make_view(env=env, episode_step=step) for env in range(3)])[2].record
        alone = lonely.act([make_view(env=2, episode_step=step)])[0].record
        assert many is not None
        assert alone is not None
        assert torch.equal(many.indices, alone.indices)
        assert (many.log_prob, many.value) == (alone.log_prob, alone.value)


def test_a_restored_policy_goes_on_as_the_saved_one(make_view: Callable[..., View]) -> None:
    controller, other = policy(), LearnedPolicy(SPACE, num_envs=3, hidden_size=8, seed=99)
    controller.act([make_view(env=env) for env in range(3)])
    other.restore(controller.tensors(), controller.facts())
    for _ in range(5):
        one, two = record_of(controller, make_view()), record_of(other, make_view())
        assert torch.equal(one.indices, two.indices)
        assert (one.log_prob, one.value) == (two.log_prob, two.value)


def test_a_state_with_a_missing_tensor_changes_nothing() -> None:
    controller = policy()
    before = controller.tensors()
    partial = {name: tensor + 1 for name, tensor in before.items() if name != "state.cell"}
    with pytest.raises(AssertionError, match=r"state\.cell"):
        controller.restore(partial, {})
    assert all(torch.equal(tensor, before[name]) for name, tensor in controller.tensors().items())


def test_a_forced_wait_says_so(make_view: Callable[..., View]) -> None:
    record = record_of(policy(), make_view((SlotState("s0", Stage.FOSSILIZED, "mlp"), SlotState("s1", Stage.FOSSILIZED, "mlp"))))
    assert record.forced
    assert record.log_prob == 0.0


def test_a_view_of_other_slots_is_a_mistake(make_view: Callable[..., View]) -> None:
    with pytest.raises(AssertionError):
        policy().act([make_view((SlotState("s0"),))])
