"""Which rung a rollback comes to is a matter of how many there were of late."""

from collections.abc import Callable
from typing import Any

import pytest

from tolaria.governor.config import GovernorConfig
from tolaria.governor.ladder import Ladder
from tolaria.governor.verdict import Standing
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Ease, EnvironmentRetired, Remedy, RolledBack, Rung

World = Any
NewWorld = Callable[..., World]
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


# A real host that climbs it.


def standings(world: World, *losses: float) -> list[Standing]:
    return [world.live(loss).standing for loss in losses]


def two_trusted(new_world: NewWorld, **more: Any) -> World:
    world = new_world(**more)
    standings(world, *[0.3] * 8)
    assert [snapshot.step for snapshot in world.governor.snapshots.trusted()] == [5, 0]
    return world


def test_a_relapse_takes_the_older_snapshot(new_world: NewWorld) -> None:
    world = two_trusted(new_world)
    world.die()
    world.die()
    assert [event.snapshot_step for event in world.told(RolledBack)] == [5, 0]


def test_a_collapse_long_after_a_rollback_is_no_relapse(new_world: NewWorld) -> None:
    world = new_world(relapse_steps=5, snapshot_every=100)
    standings(world, *[0.3] * 4)
    world.live(fossilized=True)
    standings(world, *[0.3] * 3)
    for healthy in (5, 4):
        world.die()
        standings(world, *[0.3] * healthy)
    world.die()
    assert [event.snapshot_step for event in world.told(RolledBack)] == [5, 5, 0]


def test_a_relapse_takes_the_newest_snapshot_rather_than_none(new_world: NewWorld) -> None:
    world = two_trusted(new_world)
    world.die()
    world.governor.snapshots.trusted()[1].tensors["host/head.bias"].add_(1.0)
    assert world.die().penalty == -10.0
    assert world.told(RolledBack)[-1].snapshot_step == 5


def test_a_lasting_fault_climbs_the_ladder_and_retires_the_environment(new_world: NewWorld) -> None:
    world = two_trusted(new_world, budget=4)
    assert [world.die().retired for _ in range(4)] == [False, False, False, True]
    remedies = [event.remedy for event in world.told(RolledBack)]
    assert [remedy.rung for remedy in remedies] == [Rung.NEWEST, Rung.OLDER, Rung.EASED, Rung.RETIRED]
    # Ten steps of one batch each.
    assert [remedy.ease for remedy in remedies] == [None, None, Ease(0.5, 10), None]
    (retired,) = world.told(EnvironmentRetired)
    assert (retired.rollbacks, retired.reason) == (4, "4 rollbacks within 40 steps")


def test_the_third_rollback_cuts_the_rate_and_skips_data_and_the_fourth_cuts_again(new_world: NewWorld) -> None:
    world = two_trusted(new_world, budget=9, ease_skip=7, ease_factor=0.25)
    full, begun = world.host.learning_rate("host"), world.host.batches.number
    rates = []
    for _ in range(4):
        world.die()
        # Warm-up ends where the batches of the newest snapshot do.
        rates.append(world.host.rate_cut.at(world.host.batches_stepped["host"]))
    assert rates == [1.0, 1.0, 0.25, 0.0625]
    assert world.host.batches.number == begun + 14
    assert world.host.learning_rate("host") < full


def test_a_host_that_cannot_be_eased_goes_on_as_it_is_and_the_record_says_why(new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = two_trusted(new_world, budget=9)
    world.die()
    world.die()

    def stuck(batches: int) -> None:
        raise OSError(f"{batches} batches cannot be skipped")

    monkeypatch.setattr(world.host.batches, "skip", stuck)
    assert world.die().penalty == -10.0
    told = "OSError: 10 batches cannot be skipped"
    assert world.told(RolledBack)[-1].remedy == Remedy(Rung.NEWEST, None, None, told)
    assert world.host.rate_cut.scale == 1.0


def test_who_listens_may_raise_and_the_host_is_restored_and_eased_all_the_same(new_world: NewWorld) -> None:
    world = two_trusted(new_world, budget=9)
    world.die()
    world.die()
    listen = world.governor._emit

    def deaf(event: Event) -> None:
        raise OSError("no sink")

    world.governor._emit = deaf
    with pytest.raises(OSError, match="no sink"):
        world.die()
    world.governor._emit = listen
    assert world.host.nonfinite_places() == ()
    assert world.host.rate_cut.scale == 0.5
    assert world.governor.capsule()[1]["rollback_steps"] == [9, 10, 11]


def test_rollbacks_further_apart_than_the_window_never_retire(new_world: NewWorld) -> None:
    world = new_world(budget=2, budget_window=5)
    for _ in range(6):
        assert not world.die().retired
        standings(world, *[0.3] * 4)
    assert world.die().retired is False
    assert world.die().retired is True
