"""One PPO update of the recurrent policy, which either improves it or leaves it as it was.

The whole rollout is unrolled from the recurrent state it began with, and that state is reset exactly where it was reset
when acting; so the first minibatch finds the ratio 1 in every row. Minibatches are groups of environments, never of rows.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tolaria.policy.distribution import entropy, joint_log_prob
from tolaria.policy.learned import LearnedPolicy
from tolaria.ppo.advantages import normalized
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.losses import approximate_kl, log_ratios, masked_mean, policy_loss, value_loss
from tolaria.ppo.stacked import Stacked

# The update ends when KL exceeds its target by this factor (as in the reference implementations of PPO).
KL_TOLERANCE = 1.5


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """Means over the minibatches that stepped, None where none did; `kl` is the last one measured.

    `skipped` says why nothing was learned, `restored` why what was learned was undone; both are empty otherwise.
    """

    policy_loss: float | None = None
    value_loss: float | None = None
    entropy: float | None = None
    kl: float | None = None
    epochs: int = 0
    skipped: str = ""
    restored: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A rollout with what it teaches: normalized advantages and returns, both [T, N]."""

    rollout: Stacked
    advantages: Tensor
    returns: Tensor

    def of(self, envs: Tensor) -> "Lesson":
        """The part of some environments."""
        return Lesson(self.rollout.of(envs), self.advantages[:, envs], self.returns[:, envs])


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """One minibatch's losses, with their graph; `kl` is measured against the policy that acted."""

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    kl: Tensor


def update(policy: LearnedPolicy, optimizer: torch.optim.Optimizer, buffer: RolloutBuffer, config: PpoConfig) -> UpdateReport:
    """Learn from a finished rollout. Anything non-finite on the way leaves every parameter byte for byte as it was."""
    if buffer.num_rows == 0:
        return UpdateReport(skipped="the rollout holds no rows")
    lesson = lesson_of(buffer)
    weights = copy.deepcopy(policy.net.state_dict())
    moments = copy.deepcopy(optimizer.state_dict())
    entropy_before = mean_entropy(policy, lesson.rollout)
    report = _learn(policy, optimizer, lesson, config)
    restored = "" if report.skipped else _damage(policy, lesson.rollout, entropy_before, config)
    if report.skipped or restored:
        policy.net.load_state_dict(weights)
        optimizer.load_state_dict(moments)
        return UpdateReport(skipped=report.skipped, restored=restored)
    return report


def lesson_of(buffer: RolloutBuffer) -> Lesson:
    """What a finished rollout teaches; computed anew from the rows, so it is the same however often it is asked for."""
    rollout = buffer.stacked()
    advantages = buffer.advantages
    returns = advantages + buffer.values
    return Lesson(rollout, normalized(advantages, rollout.actor, rollout.penalized).float(), returns.float())


def losses_of(policy: LearnedPolicy, lesson: Lesson, config: PpoConfig) -> Losses:
    """The losses of a minibatch. Rows without a decision teach the value only, and padding teaches nothing."""
    rollout = lesson.rollout
    logits, values, _ = policy.net(rollout.observations, rollout.state, rollout.fresh)
    log_probs = joint_log_prob(logits, rollout.op_masks, rollout.slot_masks, rollout.indices)
    log_ratio = log_ratios(log_probs, rollout.log_probs)
    weights = torch.where(rollout.forced, config.forced_value_weight, 1.0) * rollout.valid
    surrogate = policy_loss(log_ratio, lesson.advantages, rollout.actor, config.clip)
    value = value_loss(values, lesson.returns, weights)
    bonus = masked_mean(entropy(logits, rollout.op_masks, rollout.slot_masks), rollout.actor)
    return Losses(
        total=surrogate + config.value_coef * value - config.entropy_coef * bonus,
        policy=surrogate,
        value=value,
        entropy=bonus,
        kl=approximate_kl(log_ratio, rollout.actor).detach(),
    )


def recomputed_log_probs(policy: LearnedPolicy, buffer: RolloutBuffer) -> Tensor:
    """What the unroll of the update makes of the stored actions [T, N]: before learning, the stored log-probabilities.

    Zero where there is no row.
    """
    rollout = buffer.stacked()
    with torch.no_grad():
        logits, _, _ = policy.net(rollout.observations, rollout.state, rollout.fresh)
        log_probs = joint_log_prob(logits, rollout.op_masks, rollout.slot_masks, rollout.indices)
    return torch.where(rollout.valid, log_probs, 0.0)


def mean_entropy(policy: LearnedPolicy, rollout: Stacked) -> float:
    """Nats over the rows where something was decided; 0 when nothing was."""
    with torch.no_grad():
        logits, _, _ = policy.net(rollout.observations, rollout.state, rollout.fresh)
        return float(masked_mean(entropy(logits, rollout.op_masks, rollout.slot_masks), rollout.actor))


def clip_gradients(parameters: list[torch.nn.Parameter], max_norm: float) -> float:
    """Scale all gradients to at most this common norm and return the norm before; in float64, so 1e20 does not overflow."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = [torch.linalg.vector_norm(gradient, dtype=torch.float64) for gradient in gradients]
    norm = float(torch.linalg.vector_norm(torch.stack(norms)))
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm


def _learn(policy: LearnedPolicy, optimizer: torch.optim.Optimizer, lesson: Lesson, config: PpoConfig) -> UpdateReport:
    parameters = list(policy.net.parameters())
    stepped: list[tuple[float, float, float]] = []
    kl, epochs = 0.0, 0
    for epoch in range(config.epochs):
        for envs in minibatches(policy.num_envs, config.minibatches, epoch):
            part = lesson.of(envs)
            if not bool(part.rollout.valid.any()):
                continue
            losses = losses_of(policy, part, config)
            if not math.isfinite(losses.total.item() + losses.kl.item()):
                return UpdateReport(skipped="a loss is not finite")
            kl = losses.kl.item()
            # Asked before the step; afterwards the policy would be too far away already.
            if kl > KL_TOLERANCE * config.target_kl:
                return _report(stepped, kl, epochs)
            optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            if not math.isfinite(clip_gradients(parameters, config.max_grad_norm)):
                return UpdateReport(skipped="a gradient is not finite")
            optimizer.step()
            stepped.append((losses.policy.item(), losses.value.item(), losses.entropy.item()))
        epochs += 1
    return _report(stepped, kl, epochs)


def minibatches(num_envs: int, count: int, epoch: int) -> Iterator[Tensor]:
    """Groups of environments, other neighbours in every epoch; turned and not shuffled, so that no random state is needed."""
    turned = torch.arange(num_envs).roll(epoch)
    yield from turned.tensor_split(count)


def _report(stepped: list[tuple[float, float, float]], kl: float, epochs: int) -> UpdateReport:
    if not stepped:
        return UpdateReport(kl=kl, epochs=epochs)
    policy, value, bonus = (sum(column) / len(stepped) for column in zip(*stepped, strict=True))
    return UpdateReport(policy_loss=policy, value_loss=value, entropy=bonus, kl=kl, epochs=epochs)


def _damage(policy: LearnedPolicy, rollout: Stacked, entropy_before: float, config: PpoConfig) -> str:
    if not all(bool(parameter.isfinite().all()) for parameter in policy.net.parameters()):
        return "a parameter is not finite"
    after = mean_entropy(policy, rollout)
    # A policy that was below the floor before may move: putting it back would hold it there.
    if entropy_before >= config.entropy_floor and not after >= config.entropy_floor:
        return f"entropy fell from {entropy_before:.3g} to {after:.3g}, below {config.entropy_floor:g}"
    return ""
