from collections.abc import Callable

import pytest

from firedrill.oracles.climbed import Climbed
from firedrill.oracles.oracle import Answer, Evidence
from tolaria.telemetry.governor_events import Ease, Remedy, RolledBack, Rung

Edit = Callable[..., Evidence]


def test_the_rung_that_was_reached_passes(edit: Edit) -> None:
    evidence = edit(RolledBack, remedy=Remedy(Rung.EASED, Ease(0.5, 10), None))
    assert Climbed(Rung.EASED, 1).judge(evidence).answer is Answer.PASS


@pytest.mark.parametrize("rung", [Rung.NEWEST, Rung.EASED])
def test_a_rung_that_is_too_low_or_too_high_fails(edit: Edit, rung: Rung) -> None:
    finding = Climbed(Rung.OLDER, 1).judge(edit(RolledBack, remedy=Remedy(rung, None, None)))
    assert finding.detail == f"env 1 step 5: the highest rung is {rung}, not older"


def test_another_number_of_rollbacks_fails(healed: Evidence) -> None:
    assert Climbed(Rung.NEWEST, 2).judge(healed).detail == "env 1: 1 rollbacks, not 2"


def test_without_a_rollback_there_is_nothing_to_judge(drop: Edit) -> None:
    assert Climbed(Rung.NEWEST, 1).judge(drop(RolledBack)).answer is Answer.UNKNOWN
