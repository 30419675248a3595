"""Sheets of two seeds, made by hand."""

from collections.abc import Callable

import pytest

from tolaria.bench.grow.arms import GROWING, LARGE, PATIENCE, SMALL, Grown, Lesson, Plan
from tolaria.bench.grow.sheet import Sheet

STEPS = 2
SEEDS = (1000, 1001, 1002)
# Of each arm: test accuracy, MACs of the whole episode, return and the rent in it.
USUAL = {
    "random": (0.2, 150, 0.05, -0.01),
    "schedule": (0.8, 450, 0.30, -0.04),
    "heuristic": (0.6, 300, 0.20, -0.02),
    "ppo": (0.7, 300, 0.25, -0.02),
}


def grown(arm: str, seed: int, figures: tuple[float, int, float, float]) -> Grown:
    accuracy, macs, reward, rent = figures
    # Seeds differ a little, and pairs of arms only in their means.
    return Grown(arm, seed, accuracy + 0.01 * (seed - 1000), accuracy, macs, 100, reward, rent, 0, 2, 1)


def static(arm: str, seed: int, per_step: int, accuracies: list[float]) -> Grown:
    curve = tuple((per_step * (step + 1), accuracy + 0.01 * (seed - 1000)) for step, accuracy in enumerate(accuracies))
    return Grown(arm, seed, curve[STEPS - 1][1], 0.5, curve[STEPS - 1][0], 50, 0.1, 0.0, 0, 0, 0, curve)


@pytest.fixture
def make_sheet() -> Callable[..., Sheet]:
    """A sheet of three seeds; keywords are figures of growing arms in the place of the usual ones."""

    def build(large: float = 0.9, **figures: tuple[float, int, float, float]) -> Sheet:
        runs = [grown(arm, seed, (USUAL | figures)[arm]) for seed in SEEDS for arm in GROWING]
        for seed in SEEDS:
            runs.append(static(SMALL, seed, 50, [0.2, 0.3, 0.32, 0.34] + [0.5] * (PATIENCE * STEPS - 4)))
            runs.append(static(LARGE, seed, 200, [0.6, large, 0.95]))
        return Sheet(Plan("spirals", STEPS), tuple(runs), (Lesson(0.1, 0.5, 1.0, 0.5),))

    return build
