"""One PPO update of an agent, which either improves it or leaves it as it was.

Every column of the rollout is unrolled from the recurrent state it began with, and that state is reset exactly where it was reset
when acting; so the first minibatch finds the ratio 1 in every row. Minibatches are groups of columns: of environments or their
segments where something is remembered from row to row, of single rows where nothing is and they are shuffled.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tolaria.policy.agent import Agent
from tolaria.ppo.advantages import normalized
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.losses import approximate_kl, log_ratios, masked_mean, policy_loss, value_loss
from tolaria.ppo.stacked import Stacked
from tolaria.seeding import stream

# Why an update was undone after it had stepped, where that means that the policy had broken.
PARAMETER_BROKEN = "a parameter is not finite"
ANSWER_BROKEN = "the entropy is not finite"
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
    """A rollout with what it teaches: normalized advantages and returns, both [T, C]."""

    rollout: Stacked
    advantages: Tensor
    returns: Tensor

    def of(self, columns: Tensor) -> "Lesson":
        """Some of the columns."""
        return Lesson(self.rollout.of(columns), self.advantages[:, columns], self.returns[:, columns])

    def by_row(self) -> "Lesson":
        """Every row a column of its own."""
        valid = self.rollout.valid
        return Lesson(self.rollout.by_row(), self.advantages[valid][None], self.returns[valid][None])


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """One minibatch's losses, with their graph; `kl` is measured against the policy that acted."""

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    kl: Tensor


def update(
    agent: Agent, optimizer: torch.optim.Optimizer, buffer: RolloutBuffer, config: PpoConfig, number: int = 0, seed: int = 0
) -> UpdateReport:  # fmt: skip
    """Learn from a finished rollout. Anything non-finite on the way leaves every parameter byte for byte as it was.

    `number` counts the updates; how far the ratio may go follows from it, and with the seed in which order rows are seen.
    """
    if buffer.num_rows == 0:
        return UpdateReport(skipped="the rollout holds no rows")
    lesson = lesson_of(buffer)
    if config.shuffle and not agent.net.config.remembers:
        lesson = lesson.by_row()
    weights = copy.deepcopy(agent.net.state_dict())
    moments = copy.deepcopy(optimizer.state_dict())
    entropy_before = mean_entropy(agent, lesson.rollout)
    epochs = [
        list(minibatches(lesson.rollout.num_columns, config.minibatches, epoch, (seed, number) if config.shuffle else None))
        for epoch in range(config.epochs)
    ]
    report = _learn(agent, optimizer, lesson, config, epochs, number)
    restored = "" if report.skipped else _damage(agent, lesson.rollout, entropy_before, config)
    if report.skipped or restored:
        agent.net.load_state_dict(weights)
        optimizer.load_state_dict(moments)
        return UpdateReport(skipped=report.skipped, restored=restored)
    return report


def lesson_of(buffer: RolloutBuffer) -> Lesson:
    """What a finished rollout teaches; computed anew from the rows, so it is the same however often it is asked for."""
    rollout = buffer.stacked()
    advantages = buffer.advantages
    returns = buffer.by_column(advantages + buffer.values)
    scaled = normalized(buffer.by_column(advantages), rollout.actor, rollout.penalized, buffer.death_spread)
    return Lesson(rollout, scaled.float(), returns.float())


def losses_of(agent: Agent, lesson: Lesson, config: PpoConfig, number: int = 0) -> Losses:
    """The losses of a minibatch. Rows without a decision teach the value only, and padding teaches nothing."""
    rollout = lesson.rollout
    logits, values, _ = agent.net(rollout.observations, rollout.state, rollout.fresh)
    log_probs = agent.distribution.log_prob(logits, rollout.masks, rollout.indices)
    log_ratio = log_ratios(log_probs, rollout.log_probs)
    weights = torch.where(rollout.forced, config.forced_value_weight, 1.0) * rollout.valid
    surrogate = policy_loss(log_ratio, lesson.advantages, rollout.actor, config.clip_at(number))
    value = value_loss(values, lesson.returns, weights)
    bonus = masked_mean(agent.distribution.entropy(logits, rollout.masks), rollout.actor)
    return Losses(
        total=surrogate + config.value_coef * value - config.entropy_coef * bonus,
        policy=surrogate,
        value=value,
        entropy=bonus,
        kl=approximate_kl(log_ratio, rollout.actor).detach(),
    )


def recomputed_log_probs(agent: Agent, buffer: RolloutBuffer) -> Tensor:
    """What the unroll of the update makes of the stored actions [T, C]: before learning, the stored log-probabilities.

    Zero where there is no row. The columns are those of `RolloutBuffer.stacked`: the environments, unless a segment was marked.
    """
    rollout = buffer.stacked()
    with torch.no_grad():
        logits, _, _ = agent.net(rollout.observations, rollout.state, rollout.fresh)
        log_probs = agent.distribution.log_prob(logits, rollout.masks, rollout.indices)
    return torch.where(rollout.valid, log_probs, 0.0)


def mean_entropy(agent: Agent, rollout: Stacked) -> float:
    """Nats over the rows where something was decided; 0 when nothing was."""
    with torch.no_grad():
        logits, _, _ = agent.net(rollout.observations, rollout.state, rollout.fresh)
        return float(masked_mean(agent.distribution.entropy(logits, rollout.masks), rollout.actor))


def clip_gradients(parameters: list[torch.nn.Parameter], max_norm: float) -> float:
    """Scale all gradients to at most this common norm and return the norm before; in float64, so 1e20 does not overflow."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = [torch.linalg.vector_norm(gradient, dtype=torch.float64) for gradient in gradients]
    norm = float(torch.linalg.vector_norm(torch.stack(norms)))
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm


def _learn(
    agent: Agent,
    optimizer: torch.optim.Optimizer,
    lesson: Lesson,
    config: PpoConfig,
    epochs_of_columns: list[list[Tensor]],
    number: int,
) -> UpdateReport:
    parameters = list(agent.net.parameters())
    stepped: list[tuple[float, float, float]] = []
    kl, epochs = 0.0, 0
    for groups in epochs_of_columns:
        for columns in groups:
            part = lesson.of(columns)
            if not bool(part.rollout.valid.any()):
                continue
            losses = losses_of(agent, part, config, number)
            if not math.isfinite(losses.total.item() + losses.kl.item()):
                return UpdateReport(skipped="a loss is not finite")
            kl = losses.kl.item()
            # Asked before the step; afterwards the policy would be too far away already.
            if config.target_kl is not None and kl > KL_TOLERANCE * config.target_kl:
                return _report(stepped, kl, epochs)
            optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            if not math.isfinite(clip_gradients(parameters, config.max_grad_norm)):
                return UpdateReport(skipped="a gradient is not finite")
            optimizer.step()
            stepped.append((losses.policy.item(), losses.value.item(), losses.entropy.item()))
        epochs += 1
    return _report(stepped, kl, epochs)


def minibatches(num_columns: int, count: int, epoch: int, shuffled: tuple[int, int] | None = None) -> Iterator[Tensor]:
    """Groups of columns, other neighbours in every epoch: turned, or shuffled in an order that follows from seed and update."""
    if shuffled is None:
        order = torch.arange(num_columns).roll(epoch)
    else:
        order = torch.from_numpy(stream(shuffled[0], "minibatches", shuffled[1], epoch).permutation(num_columns))
    yield from order.tensor_split(count)


def _report(stepped: list[tuple[float, float, float]], kl: float, epochs: int) -> UpdateReport:
    if not stepped:
        return UpdateReport(kl=kl, epochs=epochs)
    policy, value, bonus = (sum(column) / len(stepped) for column in zip(*stepped, strict=True))
    return UpdateReport(policy_loss=policy, value_loss=value, entropy=bonus, kl=kl, epochs=epochs)


def _damage(agent: Agent, rollout: Stacked, entropy_before: float, config: PpoConfig) -> str:
    if not all(bool(parameter.isfinite().all()) for parameter in agent.net.parameters()):
        return PARAMETER_BROKEN
    after = mean_entropy(agent, rollout)
    if not math.isfinite(after):
        return ANSWER_BROKEN
    # A policy that was below the floor before may move: putting it back would hold it there.
    if entropy_before >= config.entropy_floor and after < config.entropy_floor:
        return f"entropy fell from {entropy_before:.3g} to {after:.3g}, below {config.entropy_floor:g}"
    return ""
