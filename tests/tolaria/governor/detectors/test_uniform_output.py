"""Answers that are all uniform, or all of one class, after they had not been."""

from typing import Any

import pytest

from tolaria.governor.verdict import Alarm
from tolaria.vitals import Outputs


def uniform(entropy: float, information: float = 0.0) -> Outputs:
    return Outputs(information, entropy, 0.4)


def popular(share: float, information: float = 0.0) -> Outputs:
    return Outputs(information, 0.6, share)


@pytest.mark.parametrize(
    ("now", "noticed"),
    [(uniform(0.97), False), (uniform(0.98), False), (uniform(0.99), True), (uniform(1.0, 0.01), True), (uniform(1.0, 1.0 - 0.98), False)],
)
def test_answers_within_two_percent_of_the_highest_entropy_are_uniform(
    alarm: Any, window_of: Any, vitals: Any, now: Outputs, noticed: bool
) -> None:
    assert (alarm("uniform_output", vitals(outputs=now), window_of([vitals()] * 10)) is not None) == noticed


@pytest.mark.parametrize(("usual", "noticed"), [(0.84, True), (0.85, False), (0.86, False)])
def test_answers_that_never_said_much_have_nothing_to_lose(alarm: Any, window_of: Any, vitals: Any, usual: float, noticed: bool) -> None:
    window = window_of([vitals(outputs=uniform(entropy)) for entropy in [0.1] * 5 + [usual] * 6])
    assert (alarm("uniform_output", vitals(outputs=uniform(0.99)), window) is not None) == noticed


@pytest.mark.parametrize(("share", "noticed"), [(0.994, False), (0.995, True), (1.0, True)])
def test_one_class_takes_all_from_995_inputs_of_a_thousand_on(alarm: Any, window_of: Any, vitals: Any, share: float, noticed: bool) -> None:
    assert (alarm("uniform_output", vitals(outputs=popular(share)), window_of([vitals()] * 10)) is not None) == noticed


@pytest.mark.parametrize(("usual", "noticed"), [(0.94, True), (0.95, True), (0.96, False)])
def test_one_class_may_take_all_where_it_always_has(alarm: Any, window_of: Any, vitals: Any, usual: float, noticed: bool) -> None:
    window = window_of([vitals(outputs=popular(share, 0.5)) for share in [0.1] * 5 + [usual] * 6])
    assert (alarm("uniform_output", vitals(outputs=popular(1.0)), window) is not None) == noticed


@pytest.mark.parametrize(("told", "noticed"), [(0.029, False), (0.03, False), (0.031, True)])
def test_one_class_takes_nothing_from_a_young_host_whose_answers_never_told_inputs_apart(
    alarm: Any, window_of: Any, vitals: Any, told: float, noticed: bool
) -> None:
    window = window_of([vitals(outputs=Outputs(told, 1.0, 0.7))] * 10)
    assert (alarm("uniform_output", vitals(outputs=popular(1.0)), window) is not None) == noticed


@pytest.mark.parametrize(("information", "noticed"), [(0.19, True), (0.2, False), (0.21, False)])
def test_one_class_may_take_all_of_answers_that_say_as_much_as_ever(
    alarm: Any, window_of: Any, vitals: Any, information: float, noticed: bool
) -> None:
    window = window_of([vitals(outputs=Outputs(0.8, 1.0, 0.6))] * 10)
    assert (alarm("uniform_output", vitals(outputs=popular(1.0, information)), window) is not None) == noticed


@pytest.mark.parametrize(
    ("information", "entropy", "in_a_row"),
    [(0.0049, 0.25, 1), (0.005, 0.25, 2), (0.0625, 0.374, 2), (0.0625, 0.375, 1), (0.0625, 0.75, 1)],
    ids=["hardly anything is left", "a hundredth is", "they are surer than usual", "as sure as usual", "less sure"],
)
def test_one_class_may_take_all_for_a_step_of_sure_answers_that_say_something(
    alarm: Any, window_of: Any, vitals: Any, information: float, entropy: float, in_a_row: int
) -> None:
    # Answers of 0.125 nats each as often as ones of 0.625; the median lies between.
    window = window_of([vitals(outputs=Outputs(0.5, 0.5 + usual, 0.6)) for usual in (0.125, 0.625) * 5])
    found = alarm("uniform_output", vitals(outputs=Outputs(information, information + entropy, 1.0)), window)
    assert (found.collapse_at, found.suspect_at) == (in_a_row, 1)


@pytest.mark.parametrize(("told", "noticed"), [(0.059, False), (0.061, True)])
def test_what_tells_inputs_apart_is_measured_by_the_chance_loss(
    alarm: Any, window_of: Any, vitals: Any, told: float, noticed: bool
) -> None:
    window = window_of([vitals(outputs=Outputs(told, 1.0, 0.7))] * 10)
    assert (alarm("uniform_output", vitals(outputs=popular(1.0)), window, chance_loss=2.0) is not None) == noticed


@pytest.mark.parametrize("dead", [uniform(1.0), popular(1.0)], ids=["uniform", "one class"])
def test_ten_looks_at_the_answers_are_enough_and_nine_are_not(alarm: Any, window_of: Any, vitals: Any, dead: Outputs) -> None:
    assert alarm("uniform_output", vitals(outputs=dead), window_of([vitals()] * 10)) is not None
    assert alarm("uniform_output", vitals(outputs=dead), window_of([vitals()] * 9 + [vitals(outputs=None)] * 5)) is None


def test_uniform_answers_are_a_collapse_at_once(alarm: Any, window_of: Any, vitals: Any) -> None:
    found = alarm("uniform_output", vitals(outputs=uniform(0.99)), window_of([vitals()] * 10))
    assert found == Alarm("uniform_output", 1, 0.3, None, "answers of 0.9900 nats each, 1.0000 is uniform, 0.2000 was usual")


def test_one_class_for_everything_is_a_collapse_at_once(alarm: Any, window_of: Any, vitals: Any) -> None:
    found = alarm("uniform_output", vitals(outputs=popular(1.0)), window_of([vitals()] * 10))
    assert found == Alarm("uniform_output", 1, 0.3, None, "one class takes 100.0% of the inputs, 40.0% was usual")


def test_the_entropy_of_a_uniform_answer_is_the_chance_loss(alarm: Any, window_of: Any, vitals: Any) -> None:
    before = window_of([vitals(outputs=uniform(1.69))] * 10)
    assert alarm("uniform_output", vitals(outputs=uniform(1.95)), before, chance_loss=2.0) is None
    assert alarm("uniform_output", vitals(outputs=uniform(1.97)), before, chance_loss=2.0) is not None
