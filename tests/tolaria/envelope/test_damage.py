"""Real training runs are struck: what does lasting harm must be noticed. `tolaria envelope --damage FILE` holds the whole grid."""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import pytest
import torch

from tolaria.envelope.damage import Damage, Patient, flip, flips, spoils, survey, to_json, told
from tolaria.governor.config import GovernorConfig

T = TypeVar("T")


@pytest.fixture(scope="module")
def patient() -> Iterator[Patient]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Patient("spirals", GovernorConfig(), batches=3)
    torch.set_num_threads(threads)


def test_bits_of_the_exponent_multiply_by_powers_of_two() -> None:
    numbers = torch.tensor([1.5, 0.75, 0.0])
    flip(0, 23)(numbers)
    flip(1, 23)(numbers)
    flip(2, 30)(numbers)
    assert numbers.tolist() == [0.75, 1.5, 2.0]


def test_whatever_is_not_finite_is_noticed_in_the_very_step(patient: Patient) -> None:
    found = [patient.struck(strike) for strike in spoils(patient)]
    assert [one.place.split(" of ")[0] for one in found[:4]] == ["blocks.0.linear.weight", "gradient", "optimizer state", "loss"]
    assert [(one.harmful, one.noticed, one.cause) for one in found] == [(True, 0, "non_finite")] * 8


def test_every_harmful_flip_of_the_highest_exponent_bit_is_noticed(patient: Patient) -> None:
    # Of the eight bits the highest comes last; the others of this host hardly ever do lasting harm.
    found = [patient.struck(strike) for strike in list(flips(patient))[7::8]]
    assert len(found) == 12
    harmful = [one for one in found if one.harmful]
    assert len(harmful) >= 4
    assert [one for one in harmful if one.noticed is None] == []


def test_a_strike_leaves_the_patient_as_it_was(patient: Patient) -> None:
    before = {name: tensor.clone() for name, tensor in patient.host.all_tensors().items()}
    first, again = (patient.struck(next(iter(spoils(patient)))) for _ in range(2))
    assert first == again
    assert all(torch.equal(tensor, before[name]) for name, tensor in patient.host.all_tensors().items())


def test_harm_is_a_loss_above_the_undisturbed_one_by_a_quarter_of_chance_or_none_at_all() -> None:
    def damage(excess: float | None, noticed: int | None = None) -> Damage:
        return Damage("spirals", "head.weight", "bit 30 of element 0", excess, noticed, "")

    assert [damage(excess).harmful for excess in (0.25, 0.26, None, -1.0)] == [False, True, True, False]
    found = [damage(None, 0), damage(0.3), damage(0.0, 1)]
    assert next(told(found)) == "3 strikes, 2 harmful, 1 of them not noticed; 1 noticed that did no lasting harm"
    assert '"excess": null' in to_json(found)
    assert not math.isnan(found[1].excess or 0.0)


def test_a_survey_that_is_stopped_keeps_what_was_struck() -> None:
    def first_two(what: str, items: Iterable[T], total: int) -> Iterator[T]:
        del what, total
        return islice(items, 2)

    found = survey(GovernorConfig(), ["spirals"], follow=first_two)
    assert [(one.place, one.fault, one.noticed) for one in found] == [
        ("blocks.0.linear.weight", "nan", 0),
        ("gradient of blocks.0.linear.weight", "nan", 0),
    ]
