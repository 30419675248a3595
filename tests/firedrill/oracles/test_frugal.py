from dataclasses import replace

import pytest

from firedrill.events import CensusTaken
from firedrill.oracles.frugal import QUANTITIES, Frugal
from firedrill.oracles.oracle import Answer, Evidence
from tolaria.telemetry.event import Point


def with_censuses(evidence: Evidence, *counts: tuple[int, int, int, int, int]) -> Evidence:
    censuses = tuple(CensusTaken(Point(step, 1), *count) for step, count in enumerate(counts))
    others = (event for event in evidence.faulted if not isinstance(event, CensusTaken))
    return replace(evidence, faulted=(*others, *censuses))


def test_what_comes_and_goes_is_no_growth(healed: Evidence) -> None:
    there, gone = (4, 640, 0, 0, 0), (0, 0, 0, 0, 0)
    assert Frugal(rollbacks=4).judge(with_censuses(healed, gone, there, there, gone)).answer is Answer.PASS


@pytest.mark.parametrize("quantity", range(5), ids=QUANTITIES)
def test_one_more_than_ever_before_fails(healed: Evidence, quantity: int) -> None:
    counts = [[0] * 5, [7] * 5, [7] * 5, [7] * 5]
    counts[2][quantity] += 1
    finding = Frugal(rollbacks=4).judge(with_censuses(healed, *map(tuple, counts)))
    assert (finding.answer, finding.place, finding.key) == (Answer.FAIL, "env 1 step 2", "grows")
    assert finding.detail == f"env 1 step 2: 1 {QUANTITIES[quantity]} more than ever before"


def test_too_few_rollbacks_say_nothing(healed: Evidence) -> None:
    assert Frugal(rollbacks=4).judge(with_censuses(healed, *[(0, 0, 0, 0, 0)] * 3)).answer is Answer.UNKNOWN
    assert Frugal(rollbacks=1).judge(with_censuses(healed)).answer is Answer.UNKNOWN
