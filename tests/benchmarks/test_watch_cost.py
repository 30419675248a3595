"""What a guard costs a loop that is healthy: two equal loops of about 20 ms a step, one of them watched, step by step."""

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from tolaria.governor.config import GovernorConfig
from tolaria.integrations.plain import Guard, watch

COST_MAX = 0.03
JUDGING_MAX = 0.01
WIDTH = 400
BATCH = 1024


class Training:
    """A loop of 0.5 M parameters on random points."""

    def __init__(self, snapshot_every: int | None) -> None:
        torch.manual_seed(0)
        layers = [torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU()) for _ in range(3)]
        self.model = torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 10))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.inputs, self.targets = torch.randn(BATCH, WIDTH), torch.randint(10, (BATCH,))
        self.guard: Guard | None = None
        if snapshot_every:
            self.guard = watch(self.model, self.optimizer, GovernorConfig(snapshot_every=snapshot_every), chance_loss=math.log(10))

    def step(self) -> None:
        loss = F.cross_entropy(self.model(self.inputs), self.targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.guard:
            self.guard.after_step(loss)
        else:
            # A bare loop reads its loss too, to show it.
            loss.item()


def cost(contest, snapshot_every: int, rounds: int) -> float:
    watched, bare = Training(snapshot_every), Training(None)
    subjects: dict[str, Callable[[], object]] = {"watched": watched.step, "bare": bare.step}
    for _ in range(3):
        watched.step()
        bare.step()
    contest.alternate(subjects, rounds=rounds)
    for one, other in zip(watched.model.parameters(), bare.model.parameters(), strict=True):
        assert torch.equal(one, other)
    return contest.compare("watched", "bare").low


def test_judging_alone_costs_at_most_one_percent(contest) -> None:
    assert cost(contest, snapshot_every=10**6, rounds=200) <= 1 + JUDGING_MAX


def test_judging_and_a_snapshot_every_ten_steps_cost_at_most_three_percent(contest) -> None:
    assert cost(contest, snapshot_every=10, rounds=200) <= 1 + COST_MAX
