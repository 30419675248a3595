import math

import pytest
import torch

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.lobotomy import Lobotomy
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

CLASSES = [2, 10, 100, 1000, 50257]


def alarm(loss: float, chance: float, history: float = 0.3, samples: int = 10, **settings: float) -> Alarm | None:
    window = LossWindow(20)
    for _ in range(samples):
        window.add(Vitals(0, 0.1, history * chance, 0.5, 1.0), healthy=True)
    return Lobotomy(Limits(GovernorConfig(**settings), chance, 1.5 * chance, chance)).alarm(Vitals(samples, 0.1, loss, 0.5, 1.0), window)


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize("classes", CLASSES)
def test_the_border_is_six_and_a_half_percent_of_the_chance_loss(classes: int, side: float) -> None:
    chance = math.log(classes)
    assert alarm(chance * (1.0 + side * 0.0649), chance) is not None
    assert alarm(chance * (1.0 + side * 0.0651), chance) is None


def test_the_borders_are_those_of_the_settings_and_no_alarm_themselves() -> None:
    assert alarm(1.0625, 1.0, lobotomy_tolerance=0.0625) is None
    assert alarm(1.0624, 1.0, lobotomy_tolerance=0.0625) is not None
    assert alarm(1.0, 1.0, history=0.5, lobotomy_history=0.5) is None
    assert alarm(1.0, 1.0, history=0.49, lobotomy_history=0.5) is not None


@pytest.mark.parametrize("classes", CLASSES)
def test_chance_is_the_loss_of_uniform_answers_and_not_that_of_ten_classes(classes: int) -> None:
    uniform = float(torch.nn.functional.cross_entropy(torch.zeros(1, classes), torch.tensor([0])))
    assert alarm(uniform, math.log(classes)) is not None
    assert (alarm(math.log(10), math.log(classes)) is not None) == (classes == 10)


def test_a_host_that_never_was_better_than_chance_is_not_lobotomized() -> None:
    assert alarm(1.0, 1.0, history=0.599) is not None
    assert alarm(1.0, 1.0, history=0.6) is None


def test_nine_samples_are_too_few_to_know() -> None:
    assert alarm(1.0, 1.0, samples=10) is not None
    assert alarm(1.0, 1.0, samples=9) is None


def test_the_alarm_is_immediate_and_carries_the_numbers_it_was_judged_by() -> None:
    found = alarm(1.05, 1.0)
    assert found is not None
    assert (found.cause, found.immediate, found.loss, found.threshold) == ("lobotomy", True, 1.05, 0.935)
    assert found.evidence == "loss within 0.0500 of chance 1.0000 after a mean of 0.3000"
