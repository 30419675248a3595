import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.governor.detectors import DETECTORS
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.governor import Governor
from tolaria.governor.verdict import Alarm, Standing, Verdict
from tolaria.governor.window import LossWindow
from tolaria.lifecycle.stage import Stage
from tolaria.seams import DETECTOR_ASKED, NO_TAPS, SNAPSHOT_COPYING, SNAPSHOT_VERIFYING
from tolaria.telemetry.codec import from_line, to_line
from tolaria.telemetry.governor_events import (
    Collapsed,
    RolledBack,
    SnapshotRefused,
    SnapshotTaken,
    SnapshotTrusted,
    Suspected,
)
from tolaria.telemetry.kinds import EVENT_KINDS
from tolaria.vitals import Vitals

World = Any
NewWorld = Callable[..., World]
CHANCE = math.log(3)


class Broken:
    """A detector that fails."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        raise ZeroDivisionError("division by zero")


def raw(world: World) -> dict[str, bytes]:
    tensors, _ = world.governor.capsule()
    return world.bytes() | {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def standings(world: World, *losses: float) -> list[Standing]:
    return [world.live(loss).standing for loss in losses]


HEALTHY, SUSPECT, COLLAPSED = Standing.HEALTHY, Standing.SUSPECT, Standing.COLLAPSED


# Judging.


@pytest.mark.parametrize("loss", [0.3, 9.0, CHANCE, math.nan])
def test_judging_reads_only_and_says_the_same_twice(new_world: NewWorld, loss: float) -> None:
    world = new_world()
    standings(world, *[0.3] * 12, 9.0)
    before = raw(world), world.governor.capsule()[1], world.host.facts(), list(world.events), list(world.taps.passed)
    assert world.governor.judge(world.vitals(loss)) == world.governor.judge(world.vitals(loss))
    assert (raw(world), world.governor.capsule()[1], world.host.facts(), world.events, world.taps.passed) == before


@pytest.mark.parametrize("chance", [math.nan, 0.0])
def test_a_governor_is_not_built_without_the_chance_loss_of_its_task(chance: float) -> None:
    with pytest.raises(TypeError):
        Governor(GovernorConfig(), taps=NO_TAPS, emit=print)  # type: ignore[call-arg]  # that there is no default is the point
    with pytest.raises(ConfigError, match="chance_loss"):
        Governor(GovernorConfig(), chance, 1.0, NO_TAPS, print)


def test_a_detector_that_raises_is_a_collapse_and_no_crash(new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DETECTORS, "confirmed_lobotomy", Broken)
    world = new_world()
    assert world.live(0.3).standing is COLLAPSED
    collapsed = world.told(Collapsed)[0]
    assert (collapsed.cause, collapsed.evidence) == ("detector_failed", "confirmed_lobotomy: ZeroDivisionError: division by zero")
    assert len(world.told(RolledBack)) == 1


def test_a_listener_that_raises_before_a_detector_is_asked_makes_that_one_fail(new_world: NewWorld) -> None:
    world = new_world()
    world.taps.arm(DETECTOR_ASKED, "slow_drift", times=2)
    assert world.governor.judge(world.vitals(0.3)) == Verdict.healthy()
    alarm = world.governor.judge(world.vitals(0.3), world.at).alarm
    assert alarm is not None
    assert (alarm.cause, alarm.evidence) == ("detector_failed", "slow_drift: RuntimeError: tripped")
    # All others are asked as ever, and the first cause wins.
    lost = world.governor.judge(replace(world.vitals(0.3), nonfinite=("buffers",)), world.at)
    assert lost.alarm is not None
    assert (lost.alarm.cause, lost.streaks) == ("non_finite", {"non_finite": 1, "detector_failed": 1})


def test_the_first_cause_wins(new_world: NewWorld) -> None:
    world = new_world()
    verdict = world.governor.judge(Vitals(0, math.nan, 50.0, 0.3, None, ("parameters",)))
    assert verdict.alarm is not None
    assert (verdict.alarm.cause, verdict.alarm.evidence) == ("non_finite", "not finite: parameters, train_loss")


def test_a_governor_that_is_switched_off_does_nothing(new_world: NewWorld) -> None:
    world = new_world(enabled=False)
    assert world.live(math.nan).standing is HEALTHY
    assert world.events == []


# Suspicion.


def test_three_strikes_in_a_row_are_a_collapse(new_world: NewWorld) -> None:
    world = new_world(detectors="classic")
    standings(world, *[0.3] * 10)
    assert standings(world, 9.0, 9.0, 0.3, 9.0, 9.0, 9.0) == [SUSPECT, SUSPECT, HEALTHY, SUSPECT, SUSPECT, COLLAPSED]
    assert [suspected.streak for suspected in world.told(Suspected)] == [1, 2, 1, 2]
    assert world.told(RolledBack)[0].decision.streak == 3


def test_after_a_rollback_it_takes_all_strikes_again(new_world: NewWorld) -> None:
    world = new_world(detectors="classic")
    standings(world, *[0.3] * 10)
    assert standings(world, *[9.0] * 6) == [SUSPECT, SUSPECT, COLLAPSED] * 2


def test_nan_reports_the_true_streak_and_no_loss(new_world: NewWorld) -> None:
    world = new_world()
    standings(world, *[0.3] * 3, math.nan)
    decision = world.told(RolledBack)[0].decision
    assert (decision.cause, decision.loss, decision.threshold, decision.streak) == ("non_finite", None, None, 1)
    assert decision.recent == (0.3, 0.3, 0.3, None)


def test_a_loss_that_a_detector_gives_as_nan_is_reported_as_none(new_world: NewWorld) -> None:
    world = new_world()
    alarm = Alarm("drift", False, math.nan, 1.0, "")
    world.governor.enforce(Verdict(SUSPECT, alarm, 1), world.vitals(0.3), world.host, world.at, False)
    world.governor.enforce(Verdict(COLLAPSED, alarm, 1), world.vitals(0.3), world.host, world.at, False)
    told = [*world.told(Suspected), *world.told(Collapsed), world.told(RolledBack)[0].decision]
    assert [event.loss for event in told] == [None] * 3


def test_the_loss_of_an_earlier_suspicion_is_not_told_of_a_later_rollback(new_world: NewWorld) -> None:
    world = new_world()
    standings(world, *[0.3] * 10, 9.0, 0.3)
    assert world.told(Suspected)[0].loss == 9.0
    world.die()
    decision = world.told(RolledBack)[0].decision
    assert (decision.loss, decision.threshold, decision.streak) == (None, None, 1)


def test_anomalies_never_enter_the_statistics_and_a_recovery_counts_once(new_world: NewWorld) -> None:
    world = new_world()
    standings(world, *[0.3] * 10)
    known = world.governor._jury.window.statistics()
    standings(world, 9.0, 8.0)
    assert world.governor._jury.window.statistics() == known
    standings(world, 0.3)
    assert world.governor._jury.window.statistics().samples == 11
    assert world.governor._jury.window.recent[-3:] == (9.0, 8.0, 0.3)


def test_after_a_recovery_at_a_new_loss_level_the_detector_is_neither_stale_nor_poisoned(new_world: NewWorld) -> None:
    world = new_world(detectors="classic")
    standings(world, *[0.3] * 20, 9.0, 9.0)
    assert standings(world, *[0.9] * 20) == [HEALTHY] * 20
    known = world.governor._jury.window.statistics()
    assert (known.mean, known.spread) == (pytest.approx(0.9), pytest.approx(0.0, abs=1e-9))
    # Three times the mean is the highest gate now; with the old level it would have been 1.65.
    assert standings(world, 2.8) == [SUSPECT]
    assert standings(world, 2.6) == [HEALTHY]


def test_threshold_is_computed_in_one_place_and_reported_as_judged(new_world: NewWorld) -> None:
    world = new_world(detectors="classic")
    standings(world, *[0.9] * 10, 9.0, 9.0, 9.0)
    told = [*world.told(Suspected), *world.told(Collapsed), world.told(RolledBack)[0].decision]
    assert [event.threshold for event in told] == [pytest.approx(2.7)] * 4
    assert len({event.threshold for event in told}) == 1


def test_strikes_at_ten_eleven_twelve_restore_weights_from_before_ten(new_world: NewWorld) -> None:
    world = new_world()
    assert standings(world, *[0.3] * 9, 9.0, 9.0, 9.0)[-1] is COLLAPSED
    assert world.step == 12
    taken = [event.at.step for event in world.told(SnapshotTaken)]
    assert taken == [0, 5]
    assert world.told(RolledBack)[0].snapshot_step == 5


# Snapshots.


def test_there_is_a_good_snapshot_before_the_first_step(new_world: NewWorld) -> None:
    world = new_world()
    before = world.bytes()
    world.host.train(world.at)
    assert world.die().penalty == -10.0
    assert {name: value for name, value in world.bytes().items() if name.startswith("host/")} == before


def test_snapshots_are_taken_when_due_and_trusted_after_their_probation(new_world: NewWorld) -> None:
    world = new_world()
    standings(world, *[0.3] * 10)
    assert [(event.at.step, event.snapshot, event.reason) for event in world.told(SnapshotTaken)] == [
        (0, 0, "begin"),
        (5, 1, "cadence"),
        (10, 2, "cadence"),
    ]
    assert [(event.at.step, event.snapshot) for event in world.told(SnapshotTrusted)] == [(8, 1)]


def test_without_a_probation_a_snapshot_is_told_to_be_trusted_when_it_is_taken(new_world: NewWorld) -> None:
    world = new_world(snapshot_every=3, probation=0)
    for _ in range(7):
        world.live()
    taken = [(event.at.step, event.snapshot) for event in world.told(SnapshotTaken) if event.reason == "cadence"]
    assert [(event.at.step, event.snapshot) for event in world.told(SnapshotTrusted)] == taken == [(3, 1), (6, 2)]


def test_the_snapshot_before_is_kept_whatever_copy_of_its_successor_fails(new_world: NewWorld) -> None:
    trained = new_world("adam")
    trained.train()
    copies = len(trained.host.stable_tensors())
    for number in range(copies + 1):
        world = new_world("adam", snapshot_every=1)
        world.train()
        wanted = {name: tensor.numpy().tobytes() for name, tensor in world.governor.snapshots.published[0].tensors.items()}
        seam, value = (SNAPSHOT_VERIFYING, 0) if number == copies else (SNAPSHOT_COPYING, number)
        world.taps.arm(seam, value, MemoryError, times=9)
        assert world.live().standing is HEALTHY
        assert world.taps.struck == 1
        assert world.told(SnapshotRefused)[0].reason == "MemoryError: tripped"
        world.die()
        assert {name: value for name, value in world.bytes().items() if name.startswith("host/")} == wanted


def test_an_interrupted_snapshot_leaves_the_published_ones(new_world: NewWorld) -> None:
    world = new_world(snapshot_every=1)
    published = world.governor.snapshots.published
    world.taps.arm(SNAPSHOT_COPYING, 3, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        world.live()
    assert [snapshot.number for snapshot in world.governor.snapshots.published] == [0]
    assert all(snapshot.is_intact() for snapshot in published)


def test_a_host_without_a_first_snapshot_does_not_begin(new_world: NewWorld) -> None:
    world = new_world()
    world.taps.arm(SNAPSHOT_COPYING, 3)
    with pytest.raises(RuntimeError, match="tripped"):
        world.governor.begin(world.host, world.at)


def test_a_poisoned_candidate_is_refused_although_the_verdict_was_healthy(new_world: NewWorld) -> None:
    world = new_world(snapshot_every=1)
    with torch.no_grad():
        world.host.host.own_parameters()["head.bias"][0] = math.inf
    world.step += 1
    world.judged(world.vitals(0.3))
    assert world.told(SnapshotRefused)[0].reason == "NotFinite: not finite: host/head.bias"
    assert [snapshot.number for snapshot in world.governor.snapshots.published] == [0]


# Fossils.


def test_a_fossil_that_is_struck_in_the_next_step_goes_and_nothing_is_left_of_it(new_world: NewWorld) -> None:
    world = new_world()
    standings(world, *[0.3] * 6)
    world.bring("s0", Stage.FOSSILIZED)
    world.live(fossilized=True)
    assert world.told(SnapshotTaken)[-1].reason == "fossilized"
    with torch.no_grad():
        for tensor in world.host.host.seed_tensors("s0").values():
            tensor.fill_(math.nan)
    world.die()
    rolled_back = world.told(RolledBack)[0]
    snapshot = next(s for s in world.governor.snapshots.published if s.number == rolled_back.snapshot)
    live = {name: tensor.detach().numpy().tobytes() for name, tensor in world.host.host.tensors().items()}
    assert live == {name[5:]: t.numpy().tobytes() for name, t in snapshot.tensors.items() if name.startswith("host/")}
    assert not any("slots" in name for name in live)
    assert world.host.nonfinite_places() == ()
    assert math.isfinite(world.host.validate()[0])


# Penalties and what is told.


def test_every_rollback_owes_exactly_one_penalty_and_nothing_else_does(new_world: NewWorld) -> None:
    world = new_world(penalty=-7.5)
    responses = [world.judged(world.vitals(loss))[1] for loss in (0.3, 9.0, 9.0, 9.0, 0.3, math.nan, 0.3)]
    assert [response.penalty for response in responses] == [None, None, None, -7.5, None, -7.5, None]
    assert len(world.told(RolledBack)) == 2


def test_one_typed_event_tells_of_a_rollback_with_all_that_was_known(new_world: NewWorld) -> None:
    world = new_world(detectors="classic")
    standings(world, *[0.3, 0.5] * 5, 9.0, 9.0, 9.0)
    (rolled_back,) = world.told(RolledBack)
    decision = rolled_back.decision
    assert (decision.cause, decision.loss, decision.streak) == ("loss_explosion", 9.0, 3)
    assert (decision.mean, decision.spread) == (pytest.approx(0.4), pytest.approx(0.1))
    assert decision.recent == (*[0.3, 0.5] * 5, 9.0, 9.0, 9.0)
    assert (decision.snapshot_ages, rolled_back.life, rolled_back.work.attempts) == ((3, 8, 13), 1, 1)
    assert [from_line(to_line(number, event), EVENT_KINDS) for number, event in enumerate(world.events)] == list(enumerate(world.events))


def test_a_rollback_tells_what_it_took_and_how_long(new_world: NewWorld) -> None:
    world = new_world()
    world.die()
    work = world.told(RolledBack)[0].work
    assert (work.attempts, work.bytes) == (1, world.told(SnapshotTaken)[0].bytes)
    seconds = (work.durations.choose, work.durations.validate, work.durations.rebuild, work.durations.copy, work.durations.settle)
    assert all(each > 0.0 for each in seconds)


def test_a_new_host_begins_with_nothing_of_the_old_one(new_world: NewWorld) -> None:
    world = new_world()
    standings(world, *[0.3] * 10, 9.0)
    world.governor.end_life()
    world.governor.begin(world.host, world.at)
    _, facts = world.governor.capsule()
    assert [head["step"] for head in facts["snapshots"]["published"]] == [11]
    assert (facts["jury"]["window"], facts["jury"]["streaks"], facts["grace"], facts["life"]) == (
        {"clean": [], "recent": [], "best": None},
        {},
        0,
        1,
    )
