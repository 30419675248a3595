"""One question to one detector: chance, prior and the absolute gate are 1, 1 and 1.5 nats, so that limits are worked out by hand."""

from collections.abc import Callable, Iterable

import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors import DETECTORS
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Outputs, Vitals

USUAL = Outputs(0.8, 1.0, 0.4)


def vitals(loss: float = 0.3, accuracy: float = 0.9, outputs: Outputs | None = USUAL) -> Vitals:
    return Vitals(0, 0.1, loss, accuracy, 1.0, outputs=outputs)


def window_of(clean: Iterable[Vitals], flagged: Iterable[Vitals] = ()) -> LossWindow:
    window = LossWindow(20)
    for healthy, readings in ((True, clean), (False, flagged)):
        for reading in readings:
            window.add(reading, healthy)
    return window


def alarm(
    name: str,
    now: Vitals,
    window: LossWindow,
    explosion_loss: float = 1.5,
    prior_loss: float = 1.0,
    strikes: int = 3,
    chance_loss: float = 1.0,
) -> Alarm | None:
    return DETECTORS[name](Limits(GovernorConfig(strikes=strikes), chance_loss, explosion_loss, prior_loss)).alarm(now, window)


@pytest.fixture(name="vitals")
def _vitals() -> Callable[..., Vitals]:
    return vitals


@pytest.fixture(name="window_of")
def _window_of() -> Callable[..., LossWindow]:
    return window_of


@pytest.fixture(name="alarm")
def _alarm() -> Callable[..., Alarm | None]:
    return alarm
