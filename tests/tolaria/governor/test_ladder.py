"""Which rung a rollback comes to is a matter of how many there were of late."""

import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.ladder import Ladder
from tolaria.telemetry.governor_events import Rung

NEWEST, OLDER, EASED, RETIRED = Rung.NEWEST, Rung.OLDER, Rung.EASED, Rung.RETIRED


def test_the_first_two_rungs_tell_which_snapshot_was_restored() -> None:
    ladder = Ladder(GovernorConfig())
    assert [ladder.climb(5, newest=False), ladder.climb(6, newest=True)] == [OLDER, NEWEST]


@pytest.mark.parametrize(
    ("ease_from", "budget", "rungs"),
    [(3, 4, [NEWEST, NEWEST, EASED, RETIRED]), (1, 3, [EASED, EASED, RETIRED]), (2, 2, [NEWEST, RETIRED]), (1, 1, [RETIRED])],
)
def test_rollbacks_within_the_window_lead_up_to_the_end(ease_from: int, budget: int, rungs: list[Rung]) -> None:
    ladder = Ladder(GovernorConfig(ease_from=ease_from, budget=budget))
    assert [ladder.climb(10 + i, newest=True) for i in range(len(rungs))] == rungs


def test_a_rollback_that_is_a_whole_window_ago_counts_no_more() -> None:
    ladder = Ladder(GovernorConfig(budget=2, budget_window=5))
    assert [ladder.climb(step, newest=True) for step in (0, 5, 10, 14)] == [NEWEST, NEWEST, NEWEST, RETIRED]
    assert ladder.rollbacks == 2


def test_a_collapse_soon_after_a_rollback_is_a_relapse() -> None:
    ladder = Ladder(GovernorConfig(relapse_steps=5))
    assert not ladder.relapsed(0)
    ladder.climb(7, newest=True)
    assert [ladder.relapsed(step) for step in (8, 12, 13)] == [True, True, False]


def test_a_restored_ladder_goes_on_where_it_stood() -> None:
    ladder, again = Ladder(GovernorConfig()), Ladder(GovernorConfig())
    ladder.climb(3, newest=True)
    ladder.climb(9, newest=True)
    again.restore(ladder.facts())
    assert (again.facts(), again.climb(10, newest=True)) == ([3, 9], EASED)
