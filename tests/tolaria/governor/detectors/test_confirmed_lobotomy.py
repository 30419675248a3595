from dataclasses import replace

import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors.confirmed_lobotomy import ConfirmedLobotomy
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.lobotomy import Lobotomy
from tolaria.governor.jury import Jury
from tolaria.governor.verdict import Standing
from tolaria.governor.window import LossWindow
from tolaria.vitals import Outputs, Vitals

# Chance loss 1; a host whose answers say 0.8 nats of their inputs.
LIMITS = Limits(GovernorConfig(), 1.0, 1.5, 1.0)
GOOD = Vitals(0, 0.2, 0.2, 0.9, 1.0, outputs=Outputs(0.8, 1.0, 0.4))
AT_CHANCE = replace(GOOD, val_loss=1.0)


def says(information: float) -> Vitals:
    return replace(AT_CHANCE, outputs=Outputs(information, 1.0, 0.4))


def window_of(vitals: Vitals, samples: int = 12) -> LossWindow:
    window = LossWindow(20)
    for _ in range(samples):
        window.add(vitals, healthy=True)
    return window


@pytest.mark.parametrize(("information", "alarmed"), [(0.0, True), (0.4, True), (0.41, False), (0.8, False)])
def test_answers_that_say_more_than_half_of_what_they_used_to_contradict_a_lobotomy(information: float, alarmed: bool) -> None:
    assert (ConfirmedLobotomy(LIMITS).alarm(says(information), window_of(GOOD)) is not None) == alarmed


def test_ten_looks_at_the_answers_are_enough_to_contradict() -> None:
    assert ConfirmedLobotomy(LIMITS).alarm(says(0.8), window_of(GOOD, 10)) is None


@pytest.mark.parametrize(("information", "alarmed"), [(0.09, True), (0.11, False)])
def test_what_the_answers_must_have_said_is_measured_by_the_chance_loss(information: float, alarmed: bool) -> None:
    limits = Limits(GovernorConfig(), 2.0, 3.0, 2.0)
    answers = Outputs(information, 1.0, 0.4)
    now, before = replace(GOOD, val_loss=2.0, outputs=answers), replace(GOOD, outputs=answers)
    assert (ConfirmedLobotomy(limits).alarm(now, window_of(before)) is not None) == alarmed


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (replace(AT_CHANCE, outputs=None), GOOD),
        (AT_CHANCE, replace(GOOD, outputs=None)),
        (AT_CHANCE, replace(GOOD, outputs=Outputs(0.05, 1.0, 0.4))),
    ],
    ids=["nobody looked now", "nobody looked before", "they never said anything"],
)
def test_where_the_answers_are_no_witness_the_classic_rule_stands(now: Vitals, before: Vitals) -> None:
    window = window_of(before)
    found = ConfirmedLobotomy(LIMITS).alarm(now, window)
    assert found is not None
    assert found == Lobotomy(LIMITS).alarm(now, window)


def test_a_loss_that_is_not_at_chance_is_none_however_little_the_answers_say() -> None:
    assert ConfirmedLobotomy(LIMITS).alarm(replace(says(0.0), val_loss=0.5), window_of(GOOD)) is None


def test_a_healthy_spike_onto_the_chance_loss_collapses_the_classic_suite_only() -> None:
    def standings(suite: str) -> list[Standing]:
        jury = Jury(GovernorConfig(detectors=suite), LIMITS)
        told = []
        for vitals in [*[GOOD] * 12, AT_CHANCE, GOOD, *[AT_CHANCE] * 6]:
            verdict = jury.judge(vitals)
            jury.remember(verdict, vitals)
            told.append(verdict.standing)
        return told[12:]

    assert standings("classic")[0] is Standing.COLLAPSED
    # It stays at chance for a sixth step: whatever the answers say, its skill is lost.
    assert standings("default") == [Standing.HEALTHY] * 3 + [Standing.SUSPECT] * 4 + [Standing.COLLAPSED]
