"""Interleaved spirals in the plane: generated, not linearly separable, and learnt in milliseconds."""

import math
from functools import cache

import numpy as np
import torch

from tolaria.host.host import Host
from tolaria.host.mlp_host import MlpHost
from tolaria.seeding import stream
from tolaria.tasks.task import Split, Task, split_stratified

DATA_SEED = 0
ARMS = 3
POINTS_PER_ARM = 200
TURNS = 0.75
NOISE = 0.03


def spirals() -> Task:
    """Which of three arms a point belongs to."""
    train, validation, test = splits()
    return Task(
        name="spirals",
        family="mlp",
        classes=ARMS,
        train=train,
        validation=validation,
        test=test,
        batch_size=32,
        learning_rate=0.1,
        build_host=_build_host,
    )


@cache
def splits() -> tuple[Split, Split, Split]:
    """Points [N, 2] within about [-1, 1], generated once."""
    rng = stream(DATA_SEED, "spirals")
    radius = np.linspace(0.1, 1.0, POINTS_PER_ARM)  # [P]
    points = []
    for arm in range(ARMS):
        angle = 2.0 * math.pi * (TURNS * radius + arm / ARMS)
        clean = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)  # [P, 2]
        points.append(clean + NOISE * rng.standard_normal(clean.shape))
    inputs = torch.from_numpy(np.concatenate(points)).to(torch.float32)
    targets = torch.arange(ARMS).repeat_interleave(POINTS_PER_ARM)
    return split_stratified(inputs, targets, DATA_SEED)


def _build_host(seed: int) -> Host:
    return MlpHost(inputs=2, width=24, depth=2, classes=ARMS, seed=seed)
