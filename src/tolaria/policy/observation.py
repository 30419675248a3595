"""A view as numbers for a network: always finite, always in [-10, 10], with a presence bit beside everything that may be missing.

Measured numbers are turned so that larger is healthier. What is missing or not finite reads MISSING, which lies on the
unhealthy side, and has presence 0: a broken sensor never looks like a good host.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tolaria.lifecycle.action import Op
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.view import RECENT, View
from tolaria.vitals import Vitals

BOUND = 10.0
MISSING = -1.0
# Contributions are some hundredths of accuracy; so scaled, ten points fill the range.
CONTRIBUTION_SCALE = 10.0

NUM_VITALS_FEATURES = 8
NUM_EPISODE_FEATURES = 2 + RECENT * NUM_VITALS_FEATURES + len(Op) + 1
NUM_SLOT_FEATURES = len(Stage) + 8


def observation_size(num_slots: int, num_blueprints: int) -> int:
    """D, the length of an observation."""
    return NUM_EPISODE_FEATURES + num_slots * (NUM_SLOT_FEATURES + num_blueprints)


def observe(view: View) -> NDArray[np.float32]:
    """The observation of one environment, [D]."""
    parameters = view.host_parameters + view.seed_parameters
    features = [view.episode_step / max(view.episode_steps, 1), view.seed_parameters / max(parameters, 1)]
    recent = view.recent[-RECENT:]
    for _ in range(RECENT - len(recent)):
        features += [MISSING, 0.0] * (NUM_VITALS_FEATURES // 2)
    for vitals in recent:
        features += _vitals_features(vitals, view.chance_loss)
    features += [float(op is view.last_action.op) for op in Op]
    features.append(float(view.last_accepted))
    for state in view.slots.values():
        features += _slot_features(state, view)
    return np.clip(np.array(features, dtype=np.float64), -BOUND, BOUND).astype(np.float32)


def _vitals_features(vitals: Vitals, chance_loss: float) -> list[float]:
    return [
        *_healthiness(_relative(vitals.train_loss, chance_loss)),
        *_healthiness(_relative(vitals.val_loss, chance_loss)),
        *_measured(vitals.val_accuracy),
        *_healthiness(vitals.gradient_norm),
    ]


def _slot_features(state: SlotState, view: View) -> list[float]:
    # An unknown blueprint raises here; reading it as "none" would hide it.
    blueprint = None if state.blueprint is None else view.blueprints.index(state.blueprint)
    contribution = None if state.contribution is None else CONTRIBUTION_SCALE * state.contribution
    return [
        *(float(state.stage is stage) for stage in Stage),
        state.alpha,
        state.ramp.target,
        *(float(index == blueprint) for index in range(len(view.blueprints))),
        state.age / max(view.episode_steps, 1),
        state.steps_in_stage / max(view.episode_steps, 1),
        *_measured(contribution, bound=1.0),
        *_healthiness(state.magnitude),
    ]


def _measured(value: float | None, bound: float = BOUND) -> tuple[float, float]:
    if value is None or not math.isfinite(value):
        return MISSING, 0.0
    return min(max(value, -bound), bound), 1.0


def _healthiness(value: float | None) -> tuple[float, float]:
    return _measured(None if value is None else -symlog(value))


def _relative(loss: float, chance_loss: float) -> float:
    return loss / chance_loss if chance_loss > 0.0 else math.nan


def symlog(value: float) -> float:
    """sign(x) ln(1 + |x|) (Hafner et al. 2023): linear near zero, and an explosion stays a small number."""
    return math.copysign(math.log1p(abs(value)), value)
