"""The governor around a plain loop, to be timed: a step that it finds healthy, and a whole rollback."""

import math

import torch

from firedrill.bench.cases import BATCH, Size, model_of
from firedrill.bench.interleave import Contestant
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import Outcome, watch

ROLLBACK, HEALTHY_STEP = "rollback", "healthy step"
NEVER = 10**9
# A loss that every detector finds healthy, and that of a model which knows nothing.
LOSS, CHANCE_LOSS = 0.5, 1.0


def guarded(size: Size) -> dict[str, Contestant]:
    """Both, each prepared by being called once more; the rollback is proven exact before anything is timed."""
    model = model_of(size)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def train() -> None:
        optimizer.zero_grad()
        model(torch.ones(BATCH, next(model.parameters()).shape[1])).pow(2).mean().backward()
        optimizer.step()

    # Its momentum is part of what is saved and restored.
    train()
    # One snapshot for all of it: a step in which one is due would be another operation.
    config = GovernorConfig(budget=NEVER, ease_from=NEVER, relapse_steps=0, snapshot_every=NEVER)
    guard = watch(model, optimizer, config, chance_loss=CHANCE_LOSS)
    saved = [parameter.detach().clone() for parameter in model.parameters()]

    def healthy_step() -> None:
        assert guard.after_step(LOSS).outcome is Outcome.HEALTHY

    def roll_back() -> None:
        assert guard.after_step(math.nan).outcome is Outcome.ROLLED_BACK

    train()
    roll_back()
    assert all(torch.equal(live, kept) for live, kept in zip(model.parameters(), saved, strict=True))
    return {HEALTHY_STEP: Contestant(healthy_step, healthy_step), ROLLBACK: Contestant(roll_back, roll_back)}
