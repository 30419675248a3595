import math

import pytest

from tolaria.envelope.shapes import BASELINES, SHAPES, Baseline, even, growth, one_class, spikes, step_to, uniform

FAIR = Baseline("fair", even(3), 0.5)


def test_a_baseline_is_as_sure_as_it_is_right() -> None:
    vitals = FAIR.vitals(0, 0.0)
    assert vitals.val_loss == pytest.approx(0.5 * math.log(3))
    assert vitals.outputs is not None
    assert vitals.outputs.sample_entropy == pytest.approx(vitals.val_loss)


def test_a_drift_of_two_percent_doubles_in_thirty_five_steps() -> None:
    healthy = FAIR.vitals(0, 0.0)
    assert growth(1.02)(FAIR, healthy, 34).val_loss == pytest.approx(2.0 * healthy.val_loss, rel=1e-3)


def test_every_third_loss_of_a_spike_train_is_healthy() -> None:
    healthy = FAIR.vitals(0, 0.0)
    losses = [spikes(2.0)(FAIR, healthy, t).val_loss for t in range(6)]
    assert losses == pytest.approx([2.0 * math.log(3), 2.0 * math.log(3), healthy.val_loss] * 2)
    assert step_to(2.0)(FAIR, healthy, 2).val_loss == pytest.approx(2.0 * math.log(3))


def test_dead_answers_say_nothing_of_their_input() -> None:
    for fault in (uniform(1.0), one_class(0.9)):
        outputs = fault(FAIR, FAIR.vitals(0, 0.0), 0).outputs
        assert outputs is not None
        assert (outputs.mutual_information, outputs.largest_share) == (0.0, 1.0)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_makes_a_baseline_worse(name: str) -> None:
    shape = SHAPES[name]
    for magnitude in shape.magnitudes:
        healthy = BASELINES[0].vitals(0, 0.0)
        assert not shape.build(magnitude)(BASELINES[0], healthy, 0).val_loss <= healthy.val_loss
