"""A rate that is cut stays cut, whichever scheduler computes it."""

from collections.abc import Callable

import pytest
import torch
from torch.optim import lr_scheduler as schedules
from torch.optim.swa_utils import SWALR

from tolaria.integrations.rates import scale_rates

STEPS = 50
SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], schedules.LRScheduler]] = {
    "lambda": lambda optimizer: schedules.LambdaLR(optimizer, lambda step: 1.0 / (1 + step)),
    "steps": lambda optimizer: schedules.MultiStepLR(optimizer, [3, 5]),
    "cosine": lambda optimizer: schedules.CosineAnnealingLR(optimizer, 10),
    "restarts": lambda optimizer: schedules.CosineAnnealingWarmRestarts(optimizer, 4),
    "cosine_floor": lambda optimizer: schedules.CosineAnnealingLR(optimizer, 20, eta_min=0.05),
    "restarts_floor": lambda optimizer: schedules.CosineAnnealingWarmRestarts(optimizer, 4, eta_min=0.05),
    "averaging": lambda optimizer: SWALR(optimizer, swa_lr=0.05, anneal_epochs=6),
    "averaging_at_last": lambda optimizer: schedules.SequentialLR(
        optimizer, [schedules.CosineAnnealingLR(optimizer, 8, eta_min=0.1), SWALR(optimizer, swa_lr=0.05, anneal_strategy="linear")], [8]
    ),
    "plateau": lambda optimizer: schedules.ReduceLROnPlateau(optimizer, patience=3, min_lr=0.05),
    "one_cycle": lambda optimizer: schedules.OneCycleLR(optimizer, max_lr=1.0, total_steps=STEPS + 2),
    "cyclic": lambda optimizer: schedules.CyclicLR(optimizer, base_lr=0.1, max_lr=0.5, step_size_up=3),
    "sequential": lambda optimizer: schedules.SequentialLR(
        optimizer, [schedules.LinearLR(optimizer), schedules.ExponentialLR(optimizer, 0.9)], milestones=[4]
    ),
    "chained": lambda optimizer: schedules.ChainedScheduler(
        [schedules.LinearLR(optimizer), schedules.ExponentialLR(optimizer, 0.9)], optimizer
    ),
}


def rates(name: str, cut_after: int | None) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4, momentum=0.9)
    scheduler = SCHEDULES[name](optimizer)
    seen = []
    for step in range(STEPS):
        if step == cut_after:
            scale_rates([optimizer], [scheduler], 0.5)
        optimizer.step()
        # One that waits for a plateau is on one.
        scheduler.step(1.0) if name == "plateau" else scheduler.step()
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_cut_halves_every_rate_to_come(name: str) -> None:
    whole, cut = rates(name, None), rates(name, 2)
    assert cut[:2] == whole[:2]
    # Halves of doubles are exact.
    assert cut[2:] == [rate / 2 for rate in whole[2:]]


def test_a_floor_for_groups_to_come_is_cut_too() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    scheduler = schedules.ReduceLROnPlateau(optimizer, patience=0, factor=0.01, min_lr=0.2)
    scale_rates([optimizer], [scheduler], 0.5)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.4})
    for _ in range(3):
        scheduler.step(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1]


def test_a_rate_that_is_a_tensor_stays_the_same_tensor() -> None:
    rate = torch.tensor(0.4)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scale_rates([optimizer], [], 0.5)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.2)
