import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from tolaria.policy.agent import Agent, Seen
from tolaria.policy.config import NetworkConfig
from tolaria.policy.distribution import IndependentHeads
from tolaria.ppo.advantages import spread
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.row import Row
from tolaria.ppo.update import clip_gradients, lesson_of, losses_of, minibatches, recomputed_log_probs, update

BUSY = {"deaths": frozenset({(2, 0), (3, 1), (7, 1)}), "limits": frozenset({(4, 2)}), "forced": frozenset({(1, 0), (5, 2)})}


def adam(played: Any) -> torch.optim.Adam:
    return torch.optim.Adam(played.policy.net.parameters(), lr=3e-3)


def learn(played: Any) -> Any:
    return update(played.policy.agent, adam(played), played.buffer, played.config)


def weights(played: Any) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in played.policy.net.parameters()]


def untouched(played: Any, before: list[Tensor]) -> bool:
    return all(torch.equal(one, two) for one, two in zip(before, weights(played), strict=True))


def replaced(played: Any, env: int, t: int, **changes: Any) -> None:
    """Change what was recorded of one row."""
    row = played.buffer._rows[env][t]
    played.buffer._rows[env][t] = replace(row, record=replace(row.record, **changes))


def test_the_ratio_is_one_in_every_row_before_learning(rollout: Callable[..., Any]) -> None:
    played = rollout()
    # The second rollout begins with a state that is not zero.
    for _ in range(2):
        played.buffer.clear()
        played.play(**BUSY)
    ratio = (recomputed_log_probs(played.policy.agent, played.buffer) - played.buffer.stacked().log_probs).exp()
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0.0, atol=1e-5)


def test_the_ratio_is_not_one_when_the_unroll_ignores_a_rollback(rollout: Callable[..., Any]) -> None:
    played = rollout()
    with torch.no_grad():
        played.policy.net.heads[0].weight.mul_(300.0)
    played.play(**BUSY)
    played.buffer._rows[0][3] = replace(played.buffer._rows[0][3], fresh=False)
    error = (recomputed_log_probs(played.policy.agent, played.buffer) - played.buffer.stacked().log_probs).abs()
    assert error[3:, 0].max().item() > 1e-4
    assert error[:, 1:].max().item() < 1e-5


def test_the_first_losses_see_no_divergence(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play(**BUSY)
    played.finish()
    assert losses_of(played.policy.agent, lesson_of(played.buffer), played.config).kl.item() < 1e-9


def test_a_rollout_of_one_row_can_be_learned_from(rollout: Callable[..., Any]) -> None:
    played = rollout(num_envs=1, horizon=1)
    before = weights(played)
    played.play()
    played.finish()
    report = learn(played)
    assert report.skipped == ""
    assert math.isfinite(report.policy_loss)
    assert not untouched(played, before)


def test_an_update_reports_finite_losses(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(minibatches=2, target_kl=10.0))
    played.play(**BUSY)
    played.finish()
    report = learn(played)
    assert report.epochs == 4
    assert all(math.isfinite(number) for number in (report.policy_loss, report.value_loss, report.entropy, report.kl))


def test_an_empty_rollout_is_skipped(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.buffer.begin(played.policy.recurrent_state())
    played.finish()
    assert learn(played).skipped == "the rollout holds no rows"


def test_forced_rows_train_no_head(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play(forced=frozenset((t, env) for t in range(8) for env in range(3)))
    played.finish()
    losses_of(played.policy.agent, lesson_of(played.buffer), played.config).total.backward()
    assert not any(bool(parameter.grad.any()) for parameter in played.policy.net.heads.parameters())
    assert bool(played.policy.net.value.weight.grad.any())


def test_every_head_that_was_used_is_trained(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(entropy_coef=0.0))
    played.play()
    played.finish()
    losses_of(played.policy.agent, lesson_of(played.buffer), played.config).total.backward()
    trained = [bool(head.weight.grad.any()) for head in played.policy.net.heads]
    assert trained == [True, True, True, True, True, True, False, True]


def test_a_rollout_without_a_death_is_taught_on_the_scale_that_deaths_made(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play()
    played.finish()
    usual = lesson_of(played.buffer).advantages
    # Twice as far as any of these advantages lie apart.
    played.buffer.death_spread = 2.0 * spread(played.buffer.advantages, played.buffer.stacked().actor, played.buffer.stacked().penalized)
    torch.testing.assert_close(lesson_of(played.buffer).advantages, usual / 2.0)


def test_padding_changes_no_loss(rollout: Callable[..., Any]) -> None:
    """A column of padding alone is as good as no column."""
    played = rollout()
    played.play(retired={1: 0})
    played.buffer.forget(1)
    played.finish()
    lesson = lesson_of(played.buffer)
    with_padding = losses_of(played.policy.agent, lesson, played.config)
    without = losses_of(played.policy.agent, lesson.of(torch.tensor([0, 2])), played.config)
    torch.testing.assert_close(with_padding.total, without.total)
    torch.testing.assert_close(with_padding.entropy, without.entropy)


def test_environments_together_teach_what_they_teach_apart(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(forced_value_weight=1.0))
    played.play(deaths=frozenset({(2, 0)}))
    played.finish()
    lesson = lesson_of(played.buffer)
    losses_of(played.policy.agent, lesson, played.config).total.backward()
    together = [parameter.grad.clone() for parameter in played.policy.net.parameters() if parameter.grad is not None]
    played.policy.net.zero_grad()
    for env in range(3):
        (losses_of(played.policy.agent, lesson.of(torch.tensor([env])), played.config).total / 3.0).backward()
    apart = [parameter.grad for parameter in played.policy.net.parameters() if parameter.grad is not None]
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-6)


def test_the_update_stops_before_a_step_that_is_too_far(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play()
    played.finish()
    before = weights(played)
    for t in range(8):
        replaced(played, 0, t, log_prob=played.buffer.rows(0)[t].record.log_prob - 3.0)
    report = learn(played)
    assert untouched(played, before)
    assert report.kl > 1.5 * played.config.target_kl
    assert (report.epochs, report.policy_loss, report.skipped) == (0, None, "")


@pytest.mark.parametrize("changes", [{"log_prob": math.nan}, {"value": math.inf}, {"observation": torch.full((87,), torch.nan)}])
def test_one_broken_record_leaves_every_parameter_as_it_was(rollout: Callable[..., Any], changes: dict[str, Any]) -> None:
    played = rollout(config=PpoConfig(minibatches=3, target_kl=10.0))
    played.play()
    played.finish()
    before = weights(played)
    # In the last minibatch, so that others have stepped already.
    replaced(played, 2, 4, **changes)
    assert learn(played).skipped
    assert untouched(played, before)


@pytest.mark.parametrize("head", range(8))
def test_a_broken_head_is_noticed(rollout: Callable[..., Any], head: int) -> None:
    played = rollout()
    played.play()
    played.finish()
    with torch.no_grad():
        played.policy.net.heads[head].bias[0] = torch.nan
    assert learn(played).skipped


def test_a_broken_gradient_leaves_parameters_and_moments_as_they_were(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(target_kl=10.0))
    played.play()
    played.finish()
    optimizer = adam(played)
    update(played.policy.agent, optimizer, played.buffer, played.config)
    before, moments = weights(played), optimizer.state_dict()["state"][0]["exp_avg"].clone()
    # The first step of the update is sound, so that there is something to undo.
    factors = iter([1.0, math.inf])
    handle = played.policy.net.value.weight.register_hook(lambda gradient: gradient * next(factors))
    report = update(played.policy.agent, optimizer, played.buffer, played.config)
    handle.remove()
    assert report.skipped == "a gradient is not finite"
    assert untouched(played, before)
    assert torch.equal(optimizer.state_dict()["state"][0]["exp_avg"], moments)


def test_a_policy_whose_entropy_collapses_is_put_back(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(entropy_floor=2.0, target_kl=1e6, max_grad_norm=1e3, entropy_coef=0.0))
    played.play(reward=1.0)
    played.finish()
    before = weights(played)
    report = update(played.policy.agent, torch.optim.SGD(played.policy.net.parameters(), lr=50.0), played.buffer, played.config)
    assert report.restored.startswith("entropy fell")
    assert untouched(played, before)


def test_a_policy_that_was_collapsed_before_may_move(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(entropy_floor=1e3))
    played.play()
    played.finish()
    before = weights(played)
    assert learn(played).restored == ""
    assert not untouched(played, before)


def test_parameters_that_turn_broken_are_put_back(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(epochs=1))
    played.play()
    played.finish()
    before = weights(played)
    report = update(played.policy.agent, torch.optim.SGD(played.policy.net.parameters(), lr=math.inf), played.buffer, played.config)
    assert report.restored == "a parameter is not finite"
    assert untouched(played, before)


def test_huge_gradients_have_a_finite_norm_and_are_clipped_to_the_limit() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3e20, 4e20])
    assert clip_gradients([parameter], 1.0) == pytest.approx(5e20)
    torch.testing.assert_close(parameter.grad, torch.tensor([0.6, 0.8]))


def test_every_environment_is_in_one_minibatch_of_each_epoch() -> None:
    assert [part.tolist() for part in minibatches(5, 2, epoch=0)] == [[0, 1, 2], [3, 4]]
    assert [part.tolist() for part in minibatches(5, 2, epoch=1)] == [[4, 0, 1], [2, 3]]


def test_shuffled_columns_are_each_in_one_minibatch_and_the_order_follows_from_seed_update_and_epoch() -> None:
    orders = [torch.cat(list(minibatches(50, 4, epoch, (seed, number)))).tolist() for seed, number, epoch in product(range(2), repeat=3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 8
    assert torch.cat(list(minibatches(50, 4, 1, (1, 1)))).tolist() == orders[-1]


def test_rows_without_memory_teach_the_same_one_by_one_and_in_their_columns() -> None:
    distribution = IndependentHeads((3,), masked=False)
    agent = Agent(4, distribution, 2, NetworkConfig(widths=(8,), memory="none", value_trunk=True), seed=0)
    buffer = RolloutBuffer(2, 6, PpoConfig())
    buffer.begin(agent.recurrent_state())
    generator = torch.Generator().manual_seed(0)
    for step in range(6):
        seen = Seen(torch.randn(2, 4, generator=generator), torch.ones(2, 0, dtype=torch.bool), torch.ones(2, dtype=torch.bool))
        decided = agent.act(seen)
        # The second environment stops early, so that there is padding.
        for env in range(2 if step < 4 else 1):
            buffer.remember(env, Row(step, 0, decided.record(env), float(step), fresh=step == 0))
    buffer.finish({0: 1.0, 1: 2.0})
    lesson = lesson_of(buffer)
    whole, apart = (losses_of(agent, one, PpoConfig()) for one in (lesson, lesson.by_row()))
    assert lesson.by_row().rollout.num_columns == 10
    torch.testing.assert_close(whole.total, apart.total)
    torch.testing.assert_close(whole.entropy, apart.entropy)


def test_rows_that_remember_are_not_torn_apart(rollout: Callable[..., Any]) -> None:
    played = rollout()
    played.play()
    played.finish()
    with pytest.raises(AssertionError, match="torn apart"):
        lesson_of(played.buffer).by_row()


@pytest.mark.parametrize(("number", "total"), [(0, -1.2), (5, -1.1), (10, -1.0)])
def test_the_clip_falls_with_the_updates(rollout: Callable[..., Any], number: int, total: float) -> None:
    played = rollout(num_envs=1, horizon=1, config=PpoConfig(clip_decay_updates=10, value_coef=0.0, entropy_coef=0.0))
    played.play(reward=1.0)
    played.finish()
    replaced(played, 0, 0, log_prob=played.buffer.rows(0)[0].record.log_prob - 3.0)
    lesson = replace(lesson_of(played.buffer), advantages=torch.ones(1, 1))
    assert losses_of(played.policy.agent, lesson, played.config, number).policy.item() == pytest.approx(total)


def test_without_a_limit_of_divergence_every_epoch_is_done(rollout: Callable[..., Any]) -> None:
    played = rollout(config=PpoConfig(target_kl=None))
    played.play()
    played.finish()
    for t in range(8):
        replaced(played, 0, t, log_prob=played.buffer.rows(0)[t].record.log_prob - 3.0)
    assert learn(played).epochs == 4
