"""Cutting learning rates so that no scheduler brings them back."""

from collections.abc import Iterable, Iterator

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, SequentialLR

# What schedulers compute a rate from; those of cycles keep theirs in the parameter groups.
RATES = ("lr", "initial_lr", "max_lr", "min_lr", "base_lr", "swa_lr")
OF_SCHEDULERS = ("base_lrs", "_last_lr", "max_lrs", "min_lrs")
# Floors that are the same for every group.
FLOORS = ("eta_min", "default_min_lr")


def scale_rates(optimizers: Iterable[Optimizer], schedulers: Iterable[LRScheduler], factor: float) -> None:
    """Every learning rate times a factor: the present one, and those that the schedulers come back to."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for key in RATES:
                if key in group:
                    # A tensor is what a captured graph reads its rate from, so it must stay the same one.
                    group[key] = group[key].mul_(factor) if isinstance(group[key], torch.Tensor) else group[key] * factor
    for scheduler in schedulers:
        for each in with_inner(scheduler):
            remembered = vars(each)
            for key in OF_SCHEDULERS:
                if isinstance(remembered.get(key), list):
                    remembered[key] = [rate * factor for rate in remembered[key]]
            for key in FLOORS:
                if isinstance(remembered.get(key), (int, float)):
                    remembered[key] *= factor


def with_inner(scheduler: LRScheduler) -> Iterator[LRScheduler]:
    """A scheduler and all that it is composed of."""
    yield scheduler
    if isinstance(scheduler, (SequentialLR, ChainedScheduler)):
        for inner in scheduler._schedulers:
            yield from with_inner(inner)
