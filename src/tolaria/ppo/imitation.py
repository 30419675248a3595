"""Behaviour cloning: an agent learns to decide as somebody else did, before it learns from what its own decisions bring.

Left to itself a controller of growth soon does nothing at all, because what growing costs is charged at once and what it brings comes
later; one that begins as a gardener has seen the gain.
"""

from dataclasses import dataclass, replace

import torch

from tolaria.policy.agent import Agent
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.losses import masked_mean, value_loss
from tolaria.ppo.stacked import Stacked
from tolaria.ppo.update import clip_gradients

# Of Adam while cloning, which is supervised learning and bears larger steps than PPO.
CLONING_LR = 3e-3
# A decision is taken over when the agent gives it at least this probability.
LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Imitation:
    """How alike the agent was before and after: mean surprise at a decision in nats, and the part of all decisions that is likely."""

    surprise_before: float
    surprise: float
    likely: float


def imitate(agent: Agent, buffer: RolloutBuffer, config: PpoConfig, epochs: int) -> Imitation:
    """Learn the decisions of a finished rollout and what they brought; each column begins with the state it was recorded with.

    `buffer` is one with a lambda of 1 and no values, so that its advantages are discounted returns, on the scale PPO will see.
    """
    rollout = buffer.stacked()
    returns = buffer.by_column(buffer.advantages).float()
    before, _ = _alike(agent, rollout)
    optimizer = torch.optim.Adam(agent.net.parameters(), lr=CLONING_LR)
    parameters = list(agent.net.parameters())
    for _ in range(epochs):
        logits, values, _ = agent.net(rollout.observations, rollout.state, rollout.fresh)
        surprise = -masked_mean(agent.distribution.log_prob(logits, rollout.masks, rollout.indices), rollout.actor)
        loss = surprise + config.value_coef * value_loss(values, returns, rollout.valid.float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_gradients(parameters, config.max_grad_norm)
        optimizer.step()
    return Imitation(before, *_alike(agent, rollout))


def discounted(config: PpoConfig) -> PpoConfig:
    """The config of a buffer whose advantages are returns."""
    return replace(config, gae_lambda=1.0)


def _alike(agent: Agent, rollout: Stacked) -> tuple[float, float]:
    with torch.no_grad():
        logits, _, _ = agent.net(rollout.observations, rollout.state, rollout.fresh)
        log_probs = agent.distribution.log_prob(logits, rollout.masks, rollout.indices)
        likely = (log_probs.exp() >= LIKELY).float()
        return float(-masked_mean(log_probs, rollout.actor)), float(masked_mean(likely, rollout.actor))
