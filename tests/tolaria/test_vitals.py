import math
from dataclasses import replace
from typing import Any

import pytest

from tolaria.vitals import Vitals

HEALTHY = Vitals(step=3, train_loss=0.5, val_loss=0.6, val_accuracy=0.9, gradient_norm=1.0)


def test_healthy_vitals_are_finite() -> None:
    assert HEALTHY.finite


def test_a_step_that_trained_nothing_is_finite() -> None:
    assert replace(HEALTHY, gradient_norm=None).finite


def test_zeros_are_finite() -> None:
    assert Vitals(0, 0.0, 0.0, 0.0, 0.0).finite


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["train_loss", "val_loss", "val_accuracy", "gradient_norm"])
def test_one_number_that_is_not_finite_is_enough(name: str, value: float) -> None:
    changes: dict[str, Any] = {name: value}
    assert not replace(HEALTHY, **changes).finite


@pytest.mark.parametrize("place", ["parameters", "buffers", "optimizer", "gradients"])
def test_one_place_that_is_not_finite_is_enough(place: str) -> None:
    assert not replace(HEALTHY, nonfinite=(place,)).finite
