import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tolaria.lifecycle.action import Action, Op
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.policy.observation import NUM_EPISODE_FEATURES, NUM_SLOT_FEATURES, observation_size, observe
from tolaria.policy.view import View
from tolaria.vitals import Vitals

VITALS = Vitals(step=3, train_loss=2.0, val_loss=4.0, val_accuracy=0.5, gradient_norm=None)
# Behind progress and share stand five vitals of eight features each; the latest is the last.
LATEST = slice(2 + 4 * 8, 2 + 5 * 8)
LAST_OP = slice(42, 48)


def test_any_reading_gives_finite_bounded_features(any_view: st.SearchStrategy[View]) -> None:
    @settings(deadline=None, max_examples=200)
    @given(any_view)
    def holds(view: View) -> None:
        observation = observe(view)
        assert observation.dtype == np.float32
        assert observation.shape == (observation_size(2, 2),)
        assert np.isfinite(observation).all()
        assert (np.abs(observation) <= 10.0).all()

    holds()


def test_vitals_are_seen_relative_to_chance_and_the_larger_the_healthier(make_view: Callable[..., View]) -> None:
    seen = observe(make_view(recent=(VITALS,), chance_loss=2.0))[LATEST]
    np.testing.assert_allclose(seen, [-math.log(2.0), 1.0, -math.log(3.0), 1.0, 0.5, 1.0, -1.0, 0.0], rtol=1e-6)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_broken_sensor_reads_missing_and_not_healthy(make_view: Callable[..., View], broken: float) -> None:
    vitals = replace(VITALS, train_loss=broken, val_loss=broken, val_accuracy=broken, gradient_norm=broken)
    assert observe(make_view(recent=(vitals,)))[LATEST].tolist() == [-1.0, 0.0] * 4


def test_vitals_that_are_not_there_yet_read_missing(make_view: Callable[..., View]) -> None:
    assert observe(make_view())[2:42].tolist() == [-1.0, 0.0] * 20


def test_one_broken_sensor_leaves_the_others_present(make_view: Callable[..., View]) -> None:
    seen = observe(make_view(recent=(replace(VITALS, train_loss=math.nan),)))[LATEST]
    assert seen[1::2].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_the_last_decision_is_seen_and_whether_it_was_accepted(make_view: Callable[..., View]) -> None:
    seen = observe(make_view(last_action=Action(Op.PRUNE, "s0"), last_accepted=False))
    assert seen[LAST_OP].tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    assert seen[48] == 0.0


def test_progress_and_the_share_of_seeds_are_seen(make_view: Callable[..., View]) -> None:
    seen = observe(make_view(episode_step=15, host_parameters=300, seed_parameters=100))
    assert seen[:2].tolist() == [0.5, 0.25]


def test_a_seed_that_was_never_measured_reads_missing(make_view: Callable[..., View]) -> None:
    seen = observe(make_view((SlotState("s0", Stage.GERMINATED, "norm"), SlotState("s1"))))
    assert seen[NUM_EPISODE_FEATURES:][: NUM_SLOT_FEATURES + 2].tolist() == [
        *(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, -1.0, 0.0,
    ]  # fmt: skip


def test_a_seed_is_seen_with_its_age_and_effect(make_view: Callable[..., View]) -> None:
    state = SlotState("s0", Stage.HOLDING, "mlp", age=15, steps_in_stage=3, contribution=0.02, magnitude=0.0)
    seen = observe(make_view((state, SlotState("s1"))))[NUM_EPISODE_FEATURES + 11 : NUM_EPISODE_FEATURES + 19]
    np.testing.assert_allclose(seen, [0.0, 1.0, 0.5, 0.1, 0.2, 1.0, 0.0, 1.0], atol=1e-6)


def test_a_contribution_cannot_shout(make_view: Callable[..., View]) -> None:
    state = SlotState("s0", Stage.HOLDING, "mlp", contribution=0.9)
    assert observe(make_view((state,)))[NUM_EPISODE_FEATURES + 15] == 1.0


def test_a_blueprint_nobody_knows_is_refused(make_view: Callable[..., View]) -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        observe(make_view((SlotState("s0", Stage.TRAINING, "unheard"),)))
