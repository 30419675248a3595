"""All detectors together: what is healthy alarms none of them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.governor.verdict import Standing, Verdict
from tolaria.seams import NO_TAPS
from tolaria.telemetry.governor_events import Suspected
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
def test_no_loss_below_chance_is_ever_suspicious(losses: list[float]) -> None:
    governor = Governor(GovernorConfig(), CHANCE, 1.5 * CHANCE, NO_TAPS, print)
    for loss in losses:
        assert governor.judge(Vitals(0, loss, loss, 0.5, 1.0)) == Verdict.healthy()
        governor._window.add(loss, healthy=True)
