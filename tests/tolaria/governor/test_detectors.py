"""All detectors together: what is healthy alarms none of them."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.governor.verdict import Standing, Verdict
from tolaria.seams import NO_TAPS
from tolaria.telemetry.governor_events import Collapsed, Suspected
from tolaria.vitals import Vitals

CHANCE = math.log(3)


@pytest.mark.parametrize(("mean", "spread"), [(0.01, 0.002), (0.4, 0.04), (1.2, 0.05)])
def test_a_thousand_noisy_but_healthy_steps_with_spikes_of_five_sigma_alarm_nobody(
    new_world: Callable[..., Any], mean: float, spread: float
) -> None:
    world = new_world()
    noise = np.random.default_rng(0).standard_normal(1000)
    noise[::50] = 5.0
    for sigma in noise:
        world.step += 1
        assert world.judged(world.vitals(max(0.0, mean + spread * float(sigma))))[0].standing is Standing.HEALTHY
    assert world.told(Suspected) == []


@settings(max_examples=20)
@given(st.lists(st.floats(0.0, 0.93 * CHANCE), max_size=60))
def test_no_loss_below_chance_is_ever_suspicious_to_the_classic_suite(losses: list[float]) -> None:
    governor = Governor(GovernorConfig(detectors="classic"), CHANCE, 1.5 * CHANCE, NO_TAPS, print)
    for loss in losses:
        vitals = Vitals(0, loss, loss, 0.5, 1.0)
        assert governor.judge(vitals) == Verdict.healthy()
        governor._jury.window.add(vitals, healthy=True)


def test_votes_of_different_causes_are_counted_each_for_itself(new_world: Callable[..., Any]) -> None:
    world = new_world(detectors=("non_finite", "loss_explosion", "accuracy_drop"))
    for _ in range(10):
        world.live(0.3)

    def step(loss: float, accuracy: float) -> Standing:
        return world.judged(replace(world.vitals(loss), val_accuracy=accuracy))[0].standing

    assert [step(9.0, 0.5), step(0.3, 0.1), step(9.0, 0.5), step(0.3, 0.1)] == [Standing.SUSPECT, Standing.HEALTHY] * 2
    assert [step(9.0, 0.1), step(0.3, 0.1)] == [Standing.COLLAPSED, Standing.HEALTHY]


def test_a_warning_is_never_a_collapse_and_a_level_that_lasts_is_accepted(new_world: Callable[..., Any]) -> None:
    world = new_world(detectors=("non_finite", "loss_outlier"))
    for _ in range(20):
        world.live(0.1)
    assert [world.live(0.3).standing for _ in range(30)] == [Standing.HEALTHY] * 2 + [Standing.SUSPECT] * 18 + [Standing.HEALTHY] * 10
    assert world.told(Collapsed) == []
